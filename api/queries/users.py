"""Users and their followers."""

from typing import Any

from sqlalchemy import func, select

from api.models import Follow, Total, User
from api.queries.query import AnySelect, listing, query

EVERYTHING = User.__table__.columns


@query
def get_user(id: Any) -> AnySelect:
    return select(*EVERYTHING).where(User.id == id)


@query
def get_own_user(id: Any) -> AnySelect:
    own = (User.email.label('own_email'), User.email_verified.label('own_email_verified'))
    return select(*EVERYTHING, *own).where(User.id == id)


@query
def get_user_by_name(name: Any) -> AnySelect:
    """name: as `folded` gives it."""
    return select(*EVERYTHING).where(func.lower(User.username) == name)


@query
def get_user_by_email(email: Any) -> AnySelect:
    """email: in lower case."""
    return select(*EVERYTHING).where(func.lower(User.email) == email)


def folded(username: str) -> str:
    """The name without regard to case. What is not ASCII is nobody's name, but lower() could make it one."""
    return username.lower() if username.isascii() and username.isprintable() else ''


@query
def user_total() -> AnySelect:
    return select(Total.value).where(Total.name == 'users')


@query
def follower_total(id: Any) -> AnySelect:
    return select(User.follower_count).where(User.id == id)


@query
def following_total(id: Any) -> AnySelect:
    return select(User.following_count).where(User.id == id)


@listing(order=User.id, total=user_total)
def all_users() -> AnySelect:
    return select(*EVERYTHING)


@query
def name_total(name: Any) -> AnySelect:
    return select(func.count()).where(func.lower(User.username) == name)


@listing(order=User.id, total=name_total)
def users_named(name: Any) -> AnySelect:
    """The one user of that name, or nobody. name: as `folded` gives it."""
    return select(*EVERYTHING).where(func.lower(User.username) == name)


@listing(order=Follow.id.desc(), total=follower_total)
def followers_of(id: Any) -> AnySelect:
    return select(*EVERYTHING).join(Follow, Follow.follower_id == User.id).where(Follow.followed_id == id)


@listing(order=Follow.id.desc(), total=following_total)
def followed_by(id: Any) -> AnySelect:
    return select(*EVERYTHING).join(Follow, Follow.followed_id == User.id).where(Follow.follower_id == id)
