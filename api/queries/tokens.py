"""Tokens and who calls with them."""

from typing import Any

from sqlalchemy import func, select

from api.db.selects import AnySelect, bound_select, paged_select
from api.models import Token, User

ALL_COLUMNS = Token.__table__.columns


@bound_select
def find_caller(digest: Any, now: Any) -> AnySelect:
    """Who a token stands for, while it lives, and what it may do."""
    token = (Token.id.label('token_id'), Token.scopes, Token.used_scopes, Token.last_used_at)
    user = (User.id, User.username, User.email, User.email_verified, User.credentials_version)
    activity = (User.last_seen, User.last_write_at)
    return (
        select(*user, *activity, *token)
        .join(Token, Token.user_id == User.id)
        .where(Token.digest == digest, Token.expires_at > now, User.disabled_at.is_(None))
    )


@bound_select
def list_reusable_tokens(user_id: Any, until: Any) -> AnySelect:
    """The tokens that a user's password gave, those that live longer than that, the newest first."""
    return (
        select(Token.digest, Token.seed, Token.expires_at)
        .where(Token.user_id == user_id, Token.expires_at > until, Token.seed.is_not(None))
        .order_by(Token.id.desc())
    )


@bound_select
def get_token(id: Any) -> AnySelect:
    """Any token, by its id alone."""
    return select(*ALL_COLUMNS).where(Token.id == id)


@bound_select
def get_personal_token(id: Any, user_id: Any) -> AnySelect:
    """A personal access token, if it is this user's."""
    return select(*ALL_COLUMNS).where(Token.id == id, Token.user_id == user_id, Token.seed.is_(None))


@bound_select
def count_personal_tokens(user_id: Any) -> AnySelect:
    return select(func.count()).where(Token.user_id == user_id, Token.seed.is_(None))


@paged_select(order=Token.id.desc(), count_query=count_personal_tokens)
def list_personal_tokens(user_id: Any) -> AnySelect:
    """A user's personal access tokens, the newest first; those that have expired, too."""
    return select(*ALL_COLUMNS).where(Token.user_id == user_id, Token.seed.is_(None))


@bound_select
def list_tokens(user_id: Any) -> AnySelect:
    """All tokens of a user, of either kind."""
    return select(*ALL_COLUMNS).where(Token.user_id == user_id).order_by(Token.id)
