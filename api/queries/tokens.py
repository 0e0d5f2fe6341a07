"""Tokens and the users they authenticate."""

from typing import Any

from sqlalchemy import func, select

from api.db.selects import AnySelect, bound_select, paged_select
from api.models import Token, User

ALL_COLUMNS = Token.__table__.columns


@bound_select
def find_caller(digest: Any, now: Any) -> AnySelect:
    """Select the user and the scopes of a token; no row if the token has expired or the account is disabled."""
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
    """Select the session tokens of a user that expire after `until`, newest first."""
    return (
        select(Token.digest, Token.seed, Token.expires_at)
        .where(Token.user_id == user_id, Token.expires_at > until, Token.seed.is_not(None))
        .order_by(Token.id.desc())
    )


@bound_select
def get_token(id: Any) -> AnySelect:
    """Select a token of any type and any user."""
    return select(*ALL_COLUMNS).where(Token.id == id)


@bound_select
def get_personal_token(id: Any, user_id: Any) -> AnySelect:
    """Select a personal access token; no row if it belongs to another user."""
    return select(*ALL_COLUMNS).where(Token.id == id, Token.user_id == user_id, Token.seed.is_(None))


@bound_select
def count_personal_tokens(user_id: Any) -> AnySelect:
    return select(func.count()).where(Token.user_id == user_id, Token.seed.is_(None))


@paged_select(order=Token.id.desc(), count_query=count_personal_tokens)
def list_personal_tokens(user_id: Any) -> AnySelect:
    """Select the personal access tokens of a user, including expired ones, newest first."""
    return select(*ALL_COLUMNS).where(Token.user_id == user_id, Token.seed.is_(None))


@bound_select
def list_tokens(user_id: Any) -> AnySelect:
    """Select all tokens of a user, session and personal access tokens."""
    return select(*ALL_COLUMNS).where(Token.user_id == user_id).order_by(Token.id)
