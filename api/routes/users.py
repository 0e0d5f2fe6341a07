"""Accounts, and what others may see of them."""

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

    Members that a registration does not have are ignored. The answer does not repeat the e-mail address; a link that
    verifies it goes there.
    """
    return get_user(register_user(**fields))


@users.get('')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema, UserListRequestSchema)
def index(username: str | None = None) -> PagedSelect:
    """List users

    By id: those who registered first come first. With `username` the one of that name, or nobody.
    """
    return list_users() if username is None else list_users_by_username(normalize_username(username))


@users.get('/<int:id>')
@authenticate(token_auth, role='users:read')
@response(ProfileSchema, prefetch=get_user)
@other_responses({404: 'No such user.'})
def show(id: int) -> BoundSelect:
    """Show a user

    Your own entry has your e-mail address, too.
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
    """Change your account

    Members that are left out stay as they are. Those that cannot be changed are ignored: you may send back what you
    read. Another e-mail address needs the scope `account:manage`, too. Both are told, and the new one is to be
    verified.
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
    """Change your account by a merge patch

    The same as `PUT`, under its standard name (RFC 7396).
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

    With everything of yours, at once; where there are thousands of posts, likes or followers, the last of them go
    within minutes. Replies of others stay and answer nothing any more.
    """
    check_current_password('password', fields['password'])
    delete_account(actor=id, credentials_version=current_user().credentials_version)
    return NO_CONTENT


@users.get('/<int:id>/followers')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'No such user.'})
def followers(id: int) -> PagedSelect:
    """List a user's followers

    The newest come first.
    """
    return list_followers(id)


@users.get('/<int:id>/following')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'No such user.'})
def following(id: int) -> PagedSelect:
    """List whom a user follows

    The newest come first.
    """
    return list_following(id)


@users.get('/<int:id>/posts')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'No such user.'})
def posts(id: int) -> PagedSelect:
    """List a user's posts

    The newest first.
    """
    return list_user_posts(id, current_user().id)


@users.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'No such user.'})
def likes(id: int) -> PagedSelect:
    """List what a user likes

    The latest like first.
    """
    return list_liked_posts(id, current_user().id)


def update_own_account(id: int, changes: dict[str, Any]) -> None:
    caller = current_user()
    may_change_email = 'account:manage' in caller.scopes
    token_id = None if caller.used_scopes is None else caller.token_id
    update_account(actor=id, may_change_email=may_change_email, token_id=token_id, **changes)
