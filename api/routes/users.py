"""Accounts, and what others may see of them."""

from typing import Any

from apifairy import authenticate, body, other_responses
from flask import Blueprint

from api.actions.leaving import leave
from api.actions.users import change_account, register_user
from api.edge.answers import NO_CONTENT, response
from api.edge.auth import confirm_password, current_user, own_account, token_auth
from api.edge.bodies import MERGE_PATCH
from api.edge.conditional import conditional
from api.edge.limits import NEW_ADDRESS, PASSWORD, REGISTRATION, limited
from api.edge.paging import paginated
from api.edge.timelines import timeline
from api.edge.views import fails
from api.problems import EMAIL_TAKEN, MISSING_FIELDS, USERNAME_TAKEN, WRONG_PASSWORD
from api.queries.posts import liked_by, posts_by
from api.queries.query import Listing, Query
from api.queries.users import all_users, folded, followed_by, followers_of, get_own_user, get_user, users_named
from api.schemas.account import LeavingSchema
from api.schemas.posts import PostTimelineSchema
from api.schemas.users import (
    NewUserSchema,
    OwnUserSchema,
    ProfileSchema,
    UserChangesSchema,
    UserCollectionSchema,
    UserSchema,
    UsersRequestSchema,
)

users = Blueprint('users', __name__, url_prefix='/api/users')


@users.post('')
@limited(REGISTRATION)
@body(NewUserSchema)
@response(UserSchema, 201)
@fails(MISSING_FIELDS, USERNAME_TAKEN, EMAIL_TAKEN)
def create(registration: dict[str, Any]) -> Query:
    """Register a user

    Members that a registration does not have are ignored. The answer does not repeat the e-mail address; a link that
    verifies it goes there.
    """
    return get_user(register_user(**registration))


@users.get('')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema, UsersRequestSchema)
def index(username: str | None = None) -> Listing:
    """List users

    By id: those who registered first come first. With `username` the one of that name, or nobody.
    """
    return all_users() if username is None else users_named(folded(username))


@users.get('/<int:id>')
@authenticate(token_auth, role='users:read')
@response(ProfileSchema, foreseen=get_user)
@other_responses({404: 'No such user.'})
def show(id: int) -> Query:
    """Show a user

    Your own entry has your e-mail address, too.
    """
    return get_own_user(id) if id == current_user().id else get_user(id)


@users.put('/<int:id>')
@authenticate(token_auth, role='users:write')
@own_account
@body(UserChangesSchema)
@limited(NEW_ADDRESS)
@response(OwnUserSchema)
@fails(USERNAME_TAKEN, EMAIL_TAKEN)
@conditional
def update(changes: dict[str, Any], id: int) -> Query:
    """Change your account

    Members that are left out stay as they are. Those that cannot be changed are ignored: you may send back what you
    read. Another e-mail address needs the scope `account:manage`, too. Both are told, and the new one is to be
    verified.
    """
    change_own_account(id, changes)
    return get_user(id)


@users.patch('/<int:id>')
@authenticate(token_auth, role='users:write')
@own_account
@body(UserChangesSchema, 'merge_patch', MERGE_PATCH)
@limited(NEW_ADDRESS)
@response(OwnUserSchema)
@fails(USERNAME_TAKEN, EMAIL_TAKEN)
@conditional
def patch(changes: dict[str, Any], id: int) -> Query:
    """Change your account by a merge patch

    The same as `PUT`, under its standard name (RFC 7396).
    """
    change_own_account(id, changes)
    return get_user(id)


@users.delete('/<int:id>')
@authenticate(token_auth, role='account:manage')
@own_account
@limited(PASSWORD)
@body(LeavingSchema)
@fails(WRONG_PASSWORD)
@conditional
def delete(leaving: dict[str, Any], id: int) -> tuple[str, int]:
    """Delete your account

    With everything of yours, at once; where there are thousands of posts, likes or followers, the last of them go
    within minutes. Replies of others stay and answer nothing any more.
    """
    confirm_password('password', leaving['password'])
    leave(actor=id, credentials_version=current_user().credentials_version)
    return NO_CONTENT


@users.get('/<int:id>/followers')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'No such user.'})
def followers(id: int) -> Listing:
    """List a user's followers

    The newest come first.
    """
    return followers_of(id)


@users.get('/<int:id>/following')
@authenticate(token_auth, role='users:read')
@paginated(UserCollectionSchema)
@other_responses({404: 'No such user.'})
def following(id: int) -> Listing:
    """List whom a user follows

    The newest come first.
    """
    return followed_by(id)


@users.get('/<int:id>/posts')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'No such user.'})
def posts(id: int) -> Listing:
    """List a user's posts

    The newest first.
    """
    return posts_by(id, current_user().id)


@users.get('/<int:id>/likes')
@authenticate(token_auth, role='posts:read')
@timeline(PostTimelineSchema)
@other_responses({404: 'No such user.'})
def likes(id: int) -> Listing:
    """List what a user likes

    The latest like first.
    """
    return liked_by(id, current_user().id)


def change_own_account(id: int, changes: dict[str, Any]) -> None:
    caller = current_user()
    may_change_email = 'account:manage' in caller.scopes
    token_id = None if caller.used_scopes is None else caller.token_id
    change_account(actor=id, may_change_email=may_change_email, token_id=token_id, **changes)
