"""User accounts and public profiles."""

from typing import Any

from apifairy import authenticate, body, other_responses
from flask import Blueprint

from api.actions.account_deletion import delete_account
from api.actions.users import register_user, update_account
from api.db.selects import BoundSelect, PagedSelect
from api.http.auth import check_current_password, current_user, own_account, token_auth
from api.http.conditional import conditional
from api.http.pagination.collections import paginated
from api.http.pagination.timelines import timeline
from api.http.rate_limit.limits import EMAIL_CHANGE_LIMIT, PASSWORD_LIMIT, REGISTRATION_LIMIT, rate_limited
from api.http.request_body import MERGE_PATCH
from api.http.responses import NO_CONTENT, response
from api.http.view_spec import raises
from api.problems import EMAIL_TAKEN, MISSING_FIELDS, USERNAME_TAKEN, WRONG_PASSWORD
from api.queries.posts import list_liked_posts, list_user_posts
from api.queries.users import (
    get_own_user,
    get_user,
    list_followers,
    list_following,
    list_users,
    list_users_by_username,
    normalize_username,
)
from api.schemas.account import AccountDeleteSchema
from api.schemas.posts import PostTimelineSchema
from api.schemas.users import (
    OwnUserSchema,
    ProfileSchema,
    UserCollectionSchema,
    UserCreateSchema,
    UserListRequestSchema,
    UserSchema,
    UserUpdateSchema,
)

users = Blueprint('users', __name__, url_prefix='/api/users')


@users.post('')
@rate_limited(REGISTRATION_LIMIT)
@body(UserCreateSchema)
@response(UserSchema, 201)
@raises(MISSING_FIELDS, USERNAME_TAKEN, EMAIL_TAKEN)
def create(fields: dict[str, Any]) -> BoundSelect:
    """Register a user

    Unknown fields are ignored. The response does not contain the e-mail address. A verification link is sent to the
    address.
    """
    return get_user(register_user(**fields))


@users.get('')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema, UserListRequestSchema)
def index(username: str | None = None) -> PagedSelect:
    """List users

    Ordered by id, oldest accounts first. With `username`, only the user of that name, if any.
    """
    return list_users() if username is None else list_users_by_username(normalize_username(username))


@users.get('/<int:id>')
@authenticate(token_auth, role='users:read')
@response(ProfileSchema, prefetch=get_user)
@other_responses({404: 'The user does not exist.'})
def show(id: int) -> BoundSelect:
    """Get a user

    Your own entry also contains `email` and `email_verified`.
    """
    return get_own_user(id) if id == current_user().id else get_user(id)


@users.put('/<int:id>')
@authenticate(token_auth, role='users:write')
@own_account
@body(UserUpdateSchema)
@rate_limited(EMAIL_CHANGE_LIMIT)
@response(OwnUserSchema)
@raises(USERNAME_TAKEN, EMAIL_TAKEN)
@conditional
def update(changes: dict[str, Any], id: int) -> BoundSelect:
    """Update your account

    Absent fields stay unchanged. Read-only fields are ignored, so you can send back a user that you read. Changing the
    e-mail address also needs the scope `account:manage`. Both addresses are notified, and the new one must be verified.
    """
    update_own_account(id, changes)
    return get_user(id)


@users.patch('/<int:id>')
@authenticate(token_auth, role='users:write')
@own_account
@body(UserUpdateSchema, 'merge_patch', MERGE_PATCH)
@rate_limited(EMAIL_CHANGE_LIMIT)
@response(OwnUserSchema)
@raises(USERNAME_TAKEN, EMAIL_TAKEN)
@conditional
def patch(changes: dict[str, Any], id: int) -> BoundSelect:
    """Update your account with a merge patch

    The same as `PUT`, with the standard method and media type for partial updates (RFC 7396).
    """
    update_own_account(id, changes)
    return get_user(id)


@users.delete('/<int:id>')
@authenticate(token_auth, role='account:manage')
@own_account
@rate_limited(PASSWORD_LIMIT)
@body(AccountDeleteSchema)
@raises(WRONG_PASSWORD)
@conditional
def delete(fields: dict[str, Any], id: int) -> tuple[str, int]:
    """Delete your account

    Closes the account immediately and deletes all its data. If there are thousands of posts, likes or followers, the
    deletion takes up to a few minutes. Replies by other users remain; their link `in_reply_to` becomes null.
    """
    check_current_password('password', fields['password'])
    delete_account(actor=id, credentials_version=current_user().credentials_version)
    return NO_CONTENT


@users.get('/<int:id>/followers')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'The user does not exist.'})
def followers(id: int) -> PagedSelect:
    """List followers of a user

    Newest follow first.
    """
    return list_followers(id)


@users.get('/<int:id>/following')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'The user does not exist.'})
def following(id: int) -> PagedSelect:
    """List users whom a user follows

    Newest follow first.
    """
    return list_following(id)


@users.get('/<int:id>/posts')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'The user does not exist.'})
def posts(id: int) -> PagedSelect:
    """List posts of a user

    Newest first.
    """
    return list_user_posts(id, current_user().id)


@users.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'The user does not exist.'})
def likes(id: int) -> PagedSelect:
    """List posts that a user likes

    Newest like first.
    """
    return list_liked_posts(id, current_user().id)


def update_own_account(id: int, changes: dict[str, Any]) -> None:
    caller = current_user()
    may_change_email = 'account:manage' in caller.scopes
    token_id = None if caller.used_scopes is None else caller.token_id
    update_account(actor=id, may_change_email=may_change_email, token_id=token_id, **changes)
