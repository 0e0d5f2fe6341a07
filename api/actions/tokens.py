"""Issuing and revoking tokens.

A session token, issued for a password, is derived from the server's key and a random seed. The row holds the seed and
the digest of the token: enough to recognise the token and, with the key, to issue it again. The database alone holds no
usable token. A personal access token is random and shown once; its row holds only the digest.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from api.actions.rows import best_effort, lock_user
from api.clock import utcnow
from api.db.session import current_connection, db
from api.errors import ApiError, InsufficientScopeError, NotFoundError, UnauthorizedError
from api.models import Token, User
from api.problems import SCOPE_ESCALATION, TOO_MANY_TOKENS
from api.queries.tokens import list_reusable_tokens
from api.security.keyring import keyring
from api.security.scopes import join_scopes
from api.security.token_formats import generate_personal_token, parse_scopes, session_token_text, token_digest

SESSION_TOKEN_LIFETIME = timedelta(seconds=3600)


MIN_REMAINING_LIFETIME = timedelta(seconds=60)


LAST_USED_INTERVAL = timedelta(minutes=1)


KEY_PURPOSE = 'access token'


MAX_PERSONAL_TOKENS = 50


class IssuedToken(NamedTuple):
    token: str
    expires_at: datetime


def issue_token(*, actor: int, credentials_version: int | None = None) -> IssuedToken:
    """Return the actor's session token if it has more than MIN_REMAINING_LIFETIME left, otherwise a new one.

    credentials_version: the version for which the password was checked. Raise UnauthorizedError if it has changed.
    """
    # Concurrent requests wait here and then get the same token.
    lock_user(actor, credentials_version)
    return find_reusable_token(actor) or create_session_token(actor)


def find_reusable_token(user_id: int) -> IssuedToken | None:
    """Return the newest token that can be issued again, or None. Old tokens may need one of the fallback keys."""
    for row in list_reusable_tokens(user_id, utcnow() + MIN_REMAINING_LIFETIME).all():
        for derived in keyring.derive_all(KEY_PURPOSE, row.seed):
            token = session_token_text(derived)
            if token_digest(token) == row.digest:
                return IssuedToken(token, row.expires_at)
    return None


def create_session_token(user_id: int) -> IssuedToken:
    now = utcnow()
    seed = secrets.token_bytes(16)
    issued = IssuedToken(session_token_text(keyring.derive(KEY_PURPOSE, seed)), now + SESSION_TOKEN_LIFETIME)
    expired = delete(Token).where(Token.user_id == user_id, Token.seed.is_not(None), Token.expires_at <= now)
    db.session.execute(expired)
    values = {'digest': token_digest(issued.token), 'seed': seed, 'created_at': now, 'expires_at': issued.expires_at}
    db.session.execute(insert(Token).values(user_id=user_id, **values))
    return issued


def create_personal_token(
    *, actor: int, creator_token_id: int | None, name: str, scopes: list[str], expires_in: timedelta
) -> dict[str, Any]:
    """Create a personal access token and return its columns and the secret, as `token`.

    creator_token_id: the id of the token that creates it, whose scopes are the maximum. Raise UnauthorizedError if that
    token is revoked, InsufficientScopeError if it lacks a scope, ApiError if the actor has MAX_PERSONAL_TOKENS tokens.
    """
    lock_user(actor)
    # Every change to the tokens of an account locks the account first, so a revoked token cannot create another one.
    creator = db.session.execute(select(Token.scopes).where(Token.id == creator_token_id)).one_or_none()
    if creator is None:
        raise UnauthorizedError
    if missing := join_scopes([scope for scope in scopes if scope not in parse_scopes(creator.scopes)]):
        raise InsufficientScopeError(missing)
    owned = select(func.count()).where(Token.user_id == actor, Token.seed.is_(None))
    if (db.session.scalar(owned) or 0) >= MAX_PERSONAL_TOKENS:
        raise ApiError(TOO_MANY_TOKENS)
    token, now = generate_personal_token(), utcnow()
    expires_at = (now + expires_in).replace(microsecond=0)
    values = {'name': name, 'scopes': join_scopes(scopes), 'created_at': now, 'expires_at': expires_at}
    statement = (
        insert(Token).values(user_id=actor, digest=token_digest(token), **values).returning(*Token.__table__.columns)
    )
    return {**db.session.execute(statement).one()._mapping, 'token': token}


def update_personal_token(*, actor: int, id: int, name: str | None = None, scopes: list[str] | None = None) -> None:
    """Rename a personal access token or remove some of its scopes.

    Raise NotFoundError if the actor has no such token, ApiError if it lacks one of the scopes.
    """
    lock_user(actor)
    owned = (Token.id == id, Token.user_id == actor, Token.seed.is_(None))
    token = db.session.execute(select(Token.scopes).where(*owned)).one_or_none()
    if token is None:
        raise NotFoundError
    if missing := join_scopes([scope for scope in scopes or () if scope not in parse_scopes(token.scopes)]):
        message = f'Scopes can only be removed. This token lacks: {missing}.'
        raise ApiError(SCOPE_ESCALATION, errors={'scopes': [message]})
    changes = {'name': name, 'scopes': scopes and join_scopes(scopes)}
    changes = {column: value for column, value in changes.items() if value is not None}
    if changes:
        db.session.execute(update(Token).where(Token.id == id).values(changes))


def revoke_personal_tokens(*, actor: int, id: int | None = None) -> None:
    """Revoke a personal access token, or all if no id is given. Raise NotFoundError if the actor has no such token."""
    lock_user(actor)
    owned = delete(Token).where(Token.user_id == actor, Token.seed.is_(None))
    statement = owned if id is None else owned.where(Token.id == id)
    if not db.session.connection().execute(statement).rowcount and id is not None:
        raise NotFoundError


def revoke_token(*, token_id: int | None) -> None:
    """Revoke a token."""
    db.session.execute(delete(Token).where(Token.id == token_id))


def revoke_user_tokens(user_id: int, *, except_token: int | None = None) -> None:
    """Revoke all tokens of a user except one. The lock waits for tokens that are being created."""
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    db.session.execute(delete(Token).where(Token.user_id == user_id, Token.id != (except_token or 0)))


def touch_token(token_id: int, last_used_at: datetime | None) -> None:
    """Update the time of a token's last use, at most once a minute. last_used_at: the value that was read."""
    now = utcnow()
    if last_used_at is None or now - last_used_at >= LAST_USED_INTERVAL:
        with best_effort():
            current_connection().execute(update(Token).where(Token.id == token_id).values(last_used_at=now))


def record_scope_use(token_id: int | None, scope: str) -> None:
    """Record that a scope of a token was used. Concurrent calls record it once."""
    unrecorded = (Token.scopes.is_not(None), ~(' ' + Token.used_scopes + ' ').contains(f' {scope} '))
    scopes_text = func.trim(Token.used_scopes + f' {scope}')
    current_connection().execute(update(Token).where(Token.id == token_id, *unrecorded).values(used_scopes=scopes_text))
