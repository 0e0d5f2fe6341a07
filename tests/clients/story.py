"""The story, told with the client that openapi-python-client makes: `python story.py http://127.0.0.1:5000`.

story.ts tells the same one. Both end at the first answer that is not as it should be.
"""

import sys
from base64 import b64encode
from collections.abc import Iterator
from types import NoneType
from typing import Any, TypeVar

from microblog import AuthenticatedClient, Client
from microblog.api.me import get_current_user
from microblog.api.personal_access_tokens import create_personal_access_token, revoke_personal_access_token
from microblog.api.posts import create_post, list_posts
from microblog.api.tokens import create_token, revoke_current_token
from microblog.api.users import create_user, get_user, list_user_posts, list_users, patch_user
from microblog.models import (
    CreatedToken,
    Error,
    OwnUser,
    PersonalTokenCreate,
    Post,
    PostCreate,
    PostTimeline,
    Profile,
    Token,
    User,
    UserCollection,
    UserCreate,
    UserUpdate,
)
from microblog.types import UNSET, Response, Unset

SUSAN, BEN = 'susan-of-python', 'ben-of-python'
PASSWORD = 'correct horse battery'
TEXTS = ['one', 'two', 'three', 'four', 'five']

Model = TypeVar('Model')
Page = TypeVar('Page', PostTimeline, UserCollection)


def expect(status: int, model: type[Model], response: Response[Any]) -> Model:
    """What the answer says, when it has this status and is of this model."""
    assert response.status_code == status, f'{response.status_code} instead of {status}: {response.content!r}'
    assert isinstance(response.parsed, model), response.parsed
    return response.parsed


def refuse(status: int, response: Response[Any], message: str | Unset = UNSET) -> None:
    error = expect(status, Error, response)
    assert error.message == message, error


def pages(client: AuthenticatedClient, page: Page) -> Iterator[Page]:
    """The page, and those that the links to the next lead to."""
    yield page
    while page.field_links.next_ is not None:
        response = client.get_httpx_client().get(page.field_links.next_)
        assert response.status_code == 200, response.text
        page = page.from_dict(response.json())
        yield page


def new_user(username: str, email: str) -> UserCreate:
    return UserCreate(username=username, email=f'{email}@example.com', password=PASSWORD)


def register(client: Client, username: str) -> User:
    response = create_user.sync_detailed(client=client, body=new_user(username, email=username))
    user = expect(201, User, response)
    assert response.headers['Location'] == user.field_links.self_
    assert user.username == username
    return user


def log_in(url: str, username: str) -> AuthenticatedClient:
    credentials = b64encode(f'{username}:{PASSWORD}'.encode()).decode()
    basic = AuthenticatedClient(url, credentials, prefix='Basic', raise_on_unexpected_status=True)
    return bearer(url, expect(200, Token, create_token.sync_detailed(client=basic)).token)


def bearer(url: str, token: str) -> AuthenticatedClient:
    return AuthenticatedClient(url, token, raise_on_unexpected_status=True)


def read_me(client: AuthenticatedClient, id: int) -> None:
    me = expect(200, OwnUser, get_current_user.sync_detailed(client=client))
    assert (me.id, me.username, me.email) == (id, SUSAN, f'{SUSAN}@example.com')
    assert me.about_me is None


def page_through_posts(client: AuthenticatedClient, id: int) -> None:
    for text in TEXTS:
        expect(201, Post, create_post.sync_detailed(client=client, body=PostCreate(text=text)))
    first = expect(200, PostTimeline, list_user_posts.sync_detailed(id, client=client, per_page=2))
    found = [[post.text for post in page.items] for page in pages(client, first)]
    assert found == [['five', 'four'], ['three', 'two'], ['one']], found


def page_through_users(client: AuthenticatedClient, ids: set[int]) -> None:
    first = expect(200, UserCollection, list_users.sync_detailed(client=client, per_page=1))
    found = [user.id for page in pages(client, first) for user in page.items]
    assert len(found) == first.field_meta.total_items == first.field_meta.total_pages, found
    assert ids <= set(found), found


def change(client: AuthenticatedClient, id: int) -> None:
    changes = UserUpdate(about_me='Hello, my name is Susan!')
    changed = expect(200, OwnUser, patch_user.sync_detailed(id, client=client, body=changes))
    shown = expect(200, Profile, get_user.sync_detailed(id, client=client))
    assert changed.about_me == shown.about_me == changes.about_me


def conflict(anonymous: Client, client: AuthenticatedClient, id: int) -> None:
    message = 'please use a different username'
    refuse(400, create_user.sync_detailed(client=anonymous, body=new_user(SUSAN, email='another')), message)
    refuse(400, patch_user.sync_detailed(id, client=client, body=UserUpdate(username=BEN)), message)
    stale = patch_user.sync_detailed(id, client=client, body=UserUpdate(about_me='late'), if_match='"old"')
    refuse(412, stale, 'the resource has changed since you read it')


def narrow_and_revoke(url: str, client: AuthenticatedClient) -> None:
    wanted = PersonalTokenCreate(name='reader', scopes=['posts:read'])
    made = expect(201, CreatedToken, create_personal_access_token.sync_detailed(client=client, body=wanted))
    assert made.scopes == ['posts:read']
    reader = bearer(url, made.token)
    expect(200, PostTimeline, list_posts.sync_detailed(client=reader))
    response = create_post.sync_detailed(client=reader, body=PostCreate(text='six'))
    refuse(403, response, 'this token lacks a required scope')
    expect(204, NoneType, revoke_personal_access_token.sync_detailed(made.id, client=client))
    refuse(401, list_posts.sync_detailed(client=reader))


def log_out(client: AuthenticatedClient) -> None:
    expect(204, NoneType, revoke_current_token.sync_detailed(client=client))
    refuse(401, get_current_user.sync_detailed(client=client))


def main(url: str) -> None:
    anonymous = Client(url, raise_on_unexpected_status=True)
    susan, ben = register(anonymous, SUSAN), register(anonymous, BEN)
    client = log_in(url, SUSAN)
    read_me(client, susan.id)
    page_through_posts(client, susan.id)
    page_through_users(client, {susan.id, ben.id})
    change(client, susan.id)
    conflict(anonymous, client, susan.id)
    narrow_and_revoke(url, client)
    log_out(client)


if __name__ == '__main__':
    main(sys.argv[1])
