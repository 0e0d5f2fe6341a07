"""Follows, from the viewer's side."""

from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from api.db.selects import AnySelect, bound_select
from api.models import Follow, User


@bound_select
def get_follow(id: Any, viewer: Any) -> AnySelect:
    return select(Follow.id).where(Follow.followed_id == id, Follow.follower_id == viewer)


@bound_select
def list_relationships(ids: Any, viewer: Any) -> AnySelect:
    """Select whether the viewer follows each of these users, and whether they follow the viewer. ids: a list."""
    outgoing, incoming = aliased(Follow), aliased(Follow)
    return (
        select(
            User.id,
            exists().where(outgoing.follower_id == viewer, outgoing.followed_id == User.id).label('follows'),
            exists().where(incoming.follower_id == User.id, incoming.followed_id == viewer).label('followed_by'),
        )
        .where(User.id.in_(ids))
        .order_by(User.id)
    )
