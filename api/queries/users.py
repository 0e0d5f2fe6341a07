"""Users and their followers."""

from typing import Any

from sqlalchemy import func, select

from api.db.selects import AnySelect, bound_select, paged_select
from api.models import Follow, TableCount, User

ALL_COLUMNS = User.__table__.columns


@bound_select
def get_user(id: Any) -> AnySelect:
    return select(*ALL_COLUMNS).where(User.id == id)


@bound_select
def get_own_user(id: Any) -> AnySelect:
    own = (User.email.label('own_email'), User.email_verified.label('own_email_verified'))
    return select(*ALL_COLUMNS, *own).where(User.id == id)


@bound_select
def get_user_by_username(username: Any) -> AnySelect:
    """Select a user by name. username: as returned by `normalize_username`."""
    return select(*ALL_COLUMNS).where(func.lower(User.username) == username)


@bound_select
def get_user_by_email(email: Any) -> AnySelect:
    """Select a user by e-mail address. email: in lower case."""
    return select(*ALL_COLUMNS).where(func.lower(User.email) == email)


def normalize_username(username: str) -> str:
    """Return the username in lower case, or an empty string if it is not printable ASCII.

    Usernames are ASCII, but lower() could turn another string into one.
    """
    return username.lower() if username.isascii() and username.isprintable() else ''


@bound_select
def count_users() -> AnySelect:
    return select(TableCount.row_count).where(TableCount.table_name == 'users')


@bound_select
def count_followers(id: Any) -> AnySelect:
    return select(User.follower_count).where(User.id == id)


@bound_select
def count_following(id: Any) -> AnySelect:
    return select(User.following_count).where(User.id == id)


@paged_select(order=User.id, count_query=count_users)
def list_users() -> AnySelect:
    return select(*ALL_COLUMNS)


@bound_select
def count_users_by_username(username: Any) -> AnySelect:
    return select(func.count()).where(func.lower(User.username) == username)


@paged_select(order=User.id, count_query=count_users_by_username)
def list_users_by_username(username: Any) -> AnySelect:
    """Select the one user with that name, if there is one. username: as returned by `normalize_username`."""
    return select(*ALL_COLUMNS).where(func.lower(User.username) == username)


@paged_select(order=Follow.id.desc(), count_query=count_followers)
def list_followers(id: Any) -> AnySelect:
    return select(*ALL_COLUMNS).join(Follow, Follow.follower_id == User.id).where(Follow.followed_id == id)


@paged_select(order=Follow.id.desc(), count_query=count_following)
def list_following(id: Any) -> AnySelect:
    return select(*ALL_COLUMNS).join(Follow, Follow.followed_id == User.id).where(Follow.follower_id == id)
