"""Who follows whom, as somebody sees it."""

from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from api.models import Follow, User
from api.queries.query import AnySelect, query


@query
def is_followed(id: Any, viewer: Any) -> AnySelect:
    return select(Follow.id).where(Follow.followed_id == id, Follow.follower_id == viewer)


@query
def relationships(ids: Any, viewer: Any) -> AnySelect:
    """How a viewer and those users stand to each other. ids: a list."""
    to_them, from_them = aliased(Follow), aliased(Follow)
    return (
        select(
            User.id,
            exists().where(to_them.follower_id == viewer, to_them.followed_id == User.id).label('follows'),
            exists().where(from_them.follower_id == User.id, from_them.followed_id == viewer).label('followed_by'),
        )
        .where(User.id.in_(ids))
        .order_by(User.id)
    )
