"""Tokens and who calls with them."""

from typing import Any

from sqlalchemy import func, select

from api.models import Token, User
from api.queries.query import AnySelect, listing, query

EVERYTHING = Token.__table__.columns


@query
def find_caller(digest: Any, now: Any) -> AnySelect:
    """Who a token stands for, while it lives, and what it may do."""
    token = (Token.id.label('token_id'), Token.scopes, Token.used_scopes, Token.last_used_at)
    user = (User.id, User.username, User.email, User.email_verified, User.credentials_version)
    noted = (User.last_seen, User.wrote_at)
    return (
        select(*user, *noted, *token)
        .join(Token, Token.user_id == User.id)
        .where(Token.digest == digest, Token.expires_at > now, User.disabled_at.is_(None))
    )


@query
def lasting_tokens(user_id: Any, until: Any) -> AnySelect:
    """The tokens that a user's password gave, those that live longer than that, the newest first."""
    return (
        select(Token.digest, Token.seed, Token.expires_at)
        .where(Token.user_id == user_id, Token.expires_at > until, Token.seed.is_not(None))
        .order_by(Token.id.desc())
    )


@query
def get_token(id: Any) -> AnySelect:
    """Any token, by its id alone."""
    return select(*EVERYTHING).where(Token.id == id)


@query
def get_personal_token(id: Any, user_id: Any) -> AnySelect:
    """A personal access token, if it is this user's."""
    return select(*EVERYTHING).where(Token.id == id, Token.user_id == user_id, Token.seed.is_(None))


@query
def personal_token_total(user_id: Any) -> AnySelect:
    return select(func.count()).where(Token.user_id == user_id, Token.seed.is_(None))


@listing(order=Token.id.desc(), total=personal_token_total)
def personal_tokens(user_id: Any) -> AnySelect:
    """A user's personal access tokens, the newest first; those that have expired, too."""
    return select(*EVERYTHING).where(Token.user_id == user_id, Token.seed.is_(None))


@query
def tokens_of(user_id: Any) -> AnySelect:
    """All tokens of a user, of either kind."""
    return select(*EVERYTHING).where(Token.user_id == user_id).order_by(Token.id)
