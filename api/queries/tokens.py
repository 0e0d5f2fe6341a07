"""Tokens and who calls with them."""

from typing import Any

from sqlalchemy import select

from api.models import Token, User
from api.queries.query import AnySelect, query


@query
def find_caller(digest: Any, now: Any) -> AnySelect:
    """Who a token stands for, while it lives."""
    return (
        select(User.id, User.username, User.last_seen, Token.id.label('token_id'))
        .join(Token, Token.user_id == User.id)
        .where(Token.digest == digest, Token.expires_at > now)
    )


@query
def lasting_tokens(user_id: Any, until: Any) -> AnySelect:
    """A user's tokens that live longer than that, the newest first."""
    return (
        select(Token.digest, Token.seed, Token.expires_at)
        .where(Token.user_id == user_id, Token.expires_at > until)
        .order_by(Token.id.desc())
    )
