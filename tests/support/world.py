"""A small world: its users, every kind of caller, and a request that succeeds for every operation of the document."""

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import insert, update
from werkzeug.test import TestResponse

from api.actions.account_deletion import disable_account
from api.actions.follows import follow_user
from api.actions.likes import like_post
from api.actions.passwords import password_reset_state
from api.actions.posts import create_post
from api.clock import utcnow
from api.db.session import db
from api.models import TableCount, Token, User
from api.queries.users import get_user
from api.security.mail_tokens import EMAIL_VERIFICATION, PASSWORD_RESET, sign_mail_token
from api.security.scopes import SCOPES
from api.security.token_formats import generate_personal_token, token_digest
from support.databases import dump_rows
from tests.support.client import PASSWORD, Client, basic

ALL_SCOPES = frozenset(SCOPES)
NAMES = ('owner', 'other', 'third', 'disabled', 'disabled_with_a_token')


class Caller(NamedTuple):
    """A sender of requests.

    works: whether the credentials are valid.
    scopes: of the token.
    whose: name of the user in the world, empty if anonymous.
    """

    name: str
    token: str = ''
    works: bool = True
    scopes: frozenset[str] = ALL_SCOPES
    whose: str = 'owner'
    has_password: bool = False


class World(NamedTuple):
    """Users, their post and tokens, and every kind of caller."""

    usernames: dict[str, str]
    users: dict[str, int]
    post: int
    token: int
    reset: str
    verification: str
    callers: list[Caller]

    def id_of(self, what: str) -> int:
        return {'post': self.post, 'token': self.token}.get(what) or self.users[what]


class ExampleRequest(NamedTuple):
    """A request that succeeds.

    status: of the response.
    id: name of the user or object whose id is in the path.
    others: status for all other users, if they may not do the same.
    """

    status: int
    id: str = ''
    body: Callable[[World], dict[str, Any]] | None = None
    query: Callable[[World], dict[str, Any]] | None = None
    others: int | None = None


class Operation(NamedTuple):
    method: str
    path: str
    needs: str  # basic, bearer or nothing
    scopes: list[str]
    media_type: str | None


EXAMPLE_REQUESTS = {
    'getChangelog': ExampleRequest(200),
    'checkLiveness': ExampleRequest(200),
    'checkReadiness': ExampleRequest(200),
    'createUser': ExampleRequest(201, body=lambda world: registration()),
    'listUsers': ExampleRequest(200),
    'getUser': ExampleRequest(200, 'owner'),
    'updateUser': ExampleRequest(200, 'owner', lambda world: {'about_me': 'changed'}, others=403),
    'patchUser': ExampleRequest(200, 'owner', lambda world: {'about_me': 'changed'}, others=403),
    'deleteUser': ExampleRequest(204, 'owner', lambda world: {'password': PASSWORD}, others=403),
    'listFollowers': ExampleRequest(200, 'owner'),
    'listFollowing': ExampleRequest(200, 'owner'),
    'listUserPosts': ExampleRequest(200, 'owner'),
    'listUserLikes': ExampleRequest(200, 'owner'),
    'getCurrentUser': ExampleRequest(200),
    'getFeed': ExampleRequest(200),
    'getRelationships': ExampleRequest(200, query=lambda world: {'id': world.users['third']}),
    'checkFollowing': ExampleRequest(204, 'third'),
    'followUser': ExampleRequest(204, 'third'),
    'unfollowUser': ExampleRequest(204, 'third'),
    'listPosts': ExampleRequest(200),
    'createPost': ExampleRequest(201, body=lambda world: {'text': 'hello'}),
    'getPost': ExampleRequest(200, 'post'),
    'updatePost': ExampleRequest(200, 'post', lambda world: {'text': 'changed'}, others=403),
    'patchPost': ExampleRequest(200, 'post', lambda world: {'text': 'changed'}, others=403),
    'deletePost': ExampleRequest(204, 'post', others=403),
    'listPostVersions': ExampleRequest(200, 'post'),
    'listReplies': ExampleRequest(200, 'post'),
    'getThread': ExampleRequest(200, 'post'),
    'listPostLikers': ExampleRequest(200, 'post'),
    'checkLike': ExampleRequest(204, 'post'),
    'likePost': ExampleRequest(204, 'post'),
    'unlikePost': ExampleRequest(204, 'post'),
    'createToken': ExampleRequest(200),
    'getCurrentToken': ExampleRequest(200),
    'revokeCurrentToken': ExampleRequest(204),
    'listPersonalAccessTokens': ExampleRequest(200),
    'createPersonalAccessToken': ExampleRequest(201, body=lambda world: {'name': 'made', 'scopes': ['tokens:manage']}),
    'revokeAllPersonalAccessTokens': ExampleRequest(204),
    'getPersonalAccessToken': ExampleRequest(200, 'token', others=404),
    'updatePersonalAccessToken': ExampleRequest(200, 'token', lambda world: {'name': 'changed'}, others=404),
    'revokePersonalAccessToken': ExampleRequest(204, 'token', others=404),
    'changePassword': ExampleRequest(
        204, body=lambda world: {'old_password': PASSWORD, 'new_password': 'another battery'}
    ),
    'requestPasswordReset': ExampleRequest(202, body=lambda world: {'email': 'unknown@example.com'}),
    'resetPassword': ExampleRequest(204, body=lambda world: {'token': world.reset, 'new_password': 'another battery'}),
    'requestEmailVerification': ExampleRequest(202),
    'verifyEmail': ExampleRequest(204, body=lambda world: {'token': world.verification}),
    'exportAccount': ExampleRequest(200),
}


def registration() -> dict[str, Any]:
    name = f'new{secrets.token_hex(4)}'
    return {'username': name, 'email': f'{name}@example.com', 'password': PASSWORD}


def read_operations(app: Flask) -> dict[str, Operation]:
    served = json.loads(app.test_client().get('/apispec.json').data)
    return {
        described['operationId']: read(method.upper(), path, described)
        for path, methods in served['paths'].items()
        for method, described in methods.items()
    }


def read(method: str, path: str, described: dict[str, Any]) -> Operation:
    media_type = next(iter(described.get('requestBody', {}).get('content', {})), None)
    if not described['security']:
        return Operation(method, path, 'nothing', [], media_type)
    ((scheme, scopes),) = [pair for requirement in described['security'] for pair in requirement.items()]
    return Operation(method, path, {'basic_auth': 'basic', 'token_auth': 'bearer'}[scheme], scopes, media_type)


def build_world(app: Flask, password_hash: str) -> World:
    with app.app_context():
        usernames = {name: f'{name}{secrets.token_hex(4)}' for name in NAMES}
        users = add_users(usernames, password_hash)
        owner = users['owner']
        post = create_post(actor=owner, text='hello')['id']
        for id in (owner, users['other']):
            like_post(actor=id, id=post)
            follow_user(actor=id, id=users['third'])
        tokens: list[dict[str, Any]] = []
        callers = list(all_callers(users, tokens))
        db.session.execute(insert(Token.__table__), tokens)
        spare_row = personal_token(owner, ALL_SCOPES)[1]
        token = db.session.scalars(insert(Token).values(spare_row).returning(Token.id)).one()
        disable_account(users['disabled'])
        disabled = update(User).where(User.id == users['disabled_with_a_token'])
        db.session.execute(disabled.values(disabled_at=utcnow()))
        reset = sign_mail_token(PASSWORD_RESET, owner, password_reset_state(get_user(owner).first()))
        verification = sign_mail_token(EMAIL_VERIFICATION, owner, f'{usernames["owner"]}@example.com')
        db.session.commit()
    return World(usernames, users, post, token, reset, verification, callers)


def add_users(usernames: dict[str, str], password_hash: str) -> dict[str, int]:
    others = {'password_hash': password_hash, 'created_at': utcnow()}
    rows = [{'username': name, 'email': f'{name}@example.com', **others} for name in usernames.values()]
    added = db.session.execute(insert(User).returning(User.username, User.id), rows)
    db.session.execute(
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count + len(rows))
    )
    ids = {row.username: row.id for row in added}
    return {name: ids[username] for name, username in usernames.items()}


def all_callers(users: dict[str, int], rows: list[dict[str, Any]]) -> Iterator[Caller]:
    """Yield every kind of caller and append the rows of their tokens to `rows`."""

    def token(scopes: frozenset[str] | None = None, whose: str = 'owner', **others: Any) -> str:
        make = session_token if scopes is None else personal_token
        token, row = make(users[whose], scopes or ALL_SCOPES)
        rows.append(row | others)
        return token

    def revoked(scopes: frozenset[str] | None) -> str:
        revoked_token = token(scopes)
        rows.pop()
        return revoked_token

    ended = {'expires_at': utcnow() - timedelta(seconds=1)}
    yield Caller('the owner', token(), has_password=True)
    yield Caller('another user', token(whose='other'), whose='other', has_password=True)
    yield Caller('another user with all scopes', token(ALL_SCOPES, whose='other'), whose='other')
    yield Caller('anonymous', works=False, whose='')
    for whose in ('disabled', 'disabled_with_a_token'):
        yield Caller(f'a {whose} user', token(whose=whose), works=False, whose=whose, has_password=True)
        yield Caller(f'a {whose} user with all scopes', token(ALL_SCOPES, whose=whose), works=False, whose=whose)
    for kind, scopes in (('token', None), ('personal token', ALL_SCOPES)):
        yield Caller(f'an expired {kind}', token(scopes, **ended), works=False)
        yield Caller(f'a revoked {kind}', revoked(scopes), works=False)
    yield Caller('a token with all scopes', token(ALL_SCOPES))
    for scope in SCOPES:
        yield Caller(f'a token with {scope} alone', token(frozenset([scope])), scopes=frozenset([scope]))
        others = ALL_SCOPES - {scope}
        yield Caller(f'a token with all scopes but {scope}', token(others), scopes=others)


def personal_token(user_id: int, scopes: frozenset[str]) -> tuple[str, dict[str, Any]]:
    token = generate_personal_token()
    return token, token_row(user_id, token) | {'name': 'a name', 'scopes': ' '.join(scopes)}


def session_token(user_id: int, scopes: frozenset[str]) -> tuple[str, dict[str, Any]]:
    token = secrets.token_hex(16)
    return token, token_row(user_id, token) | {'seed': secrets.token_bytes(16)}


def token_row(user_id: int, token: str) -> dict[str, Any]:
    now = utcnow()
    row = {'user_id': user_id, 'digest': token_digest(token), 'created_at': now, 'expires_at': now + timedelta(hours=1)}
    return {**row, 'seed': None, 'name': None, 'scopes': None}


def call(
    client: Client,
    operation: Operation,
    example: ExampleRequest,
    caller: Caller,
    world: World,
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
) -> TestResponse:
    """Send the request that succeeds for its owner, with the credentials of this caller.

    headers, query: added to those of the example.
    body: replaces that of the example.
    """
    sent: dict[str, Any] = {}
    if operation.media_type:
        assert example.body, 'the example has no body'
        sent = {'data': json.dumps(body or example.body(world)), 'content_type': operation.media_type}
    credentials = {}
    if operation.needs == 'basic' and caller.has_password:
        credentials = basic(world.usernames[caller.whose], PASSWORD)
    elif caller.token:
        credentials = {'Authorization': f'Bearer {caller.token}'}
    path = operation.path.format(id=world.id_of(example.id)) if example.id else operation.path
    query = {**(example.query(world) if example.query else {}), **(query or {})}
    sent['headers'] = credentials | (headers or {})
    with client.open(path, method=operation.method, query_string=query, **sent) as response:
        response.get_data()
    return response


def all_rows(app: Flask) -> list[str]:
    """Return all rows, sorted, without the columns that any request may write: times and scopes of last use."""
    with app.app_context():
        db.session.execute(update(User).values(last_seen=None))
        db.session.execute(update(Token).values(last_used_at=None, used_scopes=''))
        db.session.commit()
    return sorted(dump_rows(app).splitlines())
