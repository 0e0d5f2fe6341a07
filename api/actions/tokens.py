"""How tokens come and go.

A token that a password gives is derived from the server's key and a random seed. The row holds the seed and the token's
digest: enough to recognise the token, and with the key to give it out again, but the database alone holds nothing that
works. A personal access token is random, shown once, and of it the row holds the digest only.
"""

import hashlib
import re
import secrets
from binascii import crc32
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from api.actions.rows import if_possible, lock_user
from api.clock import utcnow
from api.errors import ApiError, InsufficientScopeError, NotFoundError, UnauthorizedError
from api.extensions import current_connection, db, keyring
from api.models import Token, User
from api.problems import TOO_MANY_TOKENS, WIDENED_TOKEN
from api.queries.tokens import lasting_tokens
from api.scopes import SCOPES, words

LIFETIME = timedelta(seconds=3600)
LEFT_TO_BE_GIVEN_AGAIN = timedelta(seconds=60)
USED_AT_MOST_EVERY = timedelta(minutes=1)
PURPOSE = 'access token'

MOST_PERSONAL_TOKENS = 50
PREFIX = 'mb_'
DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6  # digits of 256 and of 32 bits
DERIVED_TOKEN = re.compile('[0-9a-f]{32}')
PERSONAL_TOKEN = re.compile(f'{PREFIX}[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}')


class IssuedToken(NamedTuple):
    token: str
    expires_at: datetime


def issue_token(*, actor: int, credentials_version: int | None = None) -> IssuedToken:
    """The actor's token while it has more than a minute left, else a new one.

    credentials_version: that of the password that was checked, which may have been changed meanwhile.
    """
    # Whoever asks at the same moment waits here, and is then given the same token.
    lock_user(actor, credentials_version)
    return last_token(actor) or new_token(actor)


def last_token(user_id: int) -> IssuedToken | None:
    """The newest token that may be given again: the server may have a new key since it was made."""
    for row in lasting_tokens(user_id, utcnow() + LEFT_TO_BE_GIVEN_AGAIN).all():
        for derived in keyring.derive_all(PURPOSE, row.seed):
            token = readable(derived)
            if digest_of(token) == row.digest:
                return IssuedToken(token, row.expires_at)
    return None


def new_token(user_id: int) -> IssuedToken:
    now = utcnow()
    seed = secrets.token_bytes(16)
    issued = IssuedToken(readable(keyring.derive(PURPOSE, seed)), now + LIFETIME)
    expired = delete(Token).where(Token.user_id == user_id, Token.seed.is_not(None), Token.expires_at <= now)
    db.session.execute(expired)
    values = {'digest': digest_of(issued.token), 'seed': seed, 'created_at': now, 'expires_at': issued.expires_at}
    db.session.execute(insert(Token).values(user_id=user_id, **values))
    return issued


def make_personal_token(
    *, actor: int, maker: int | None, name: str, scopes: list[str], expires_in: timedelta
) -> dict[str, Any]:
    """A new personal access token, with its secret.

    maker: the id of the token that makes it, beyond whose scopes it may not go.
    """
    lock_user(actor)
    # Whatever ends or narrows the tokens of an account locks the account first: nothing comes from what has ended.
    calling = db.session.execute(select(Token.scopes).where(Token.id == maker)).one_or_none()
    if calling is None:
        raise UnauthorizedError
    if beyond := words([scope for scope in scopes if scope not in scopes_of(calling.scopes)]):
        raise InsufficientScopeError(beyond)
    theirs = select(func.count()).where(Token.user_id == actor, Token.seed.is_(None))
    if (db.session.scalar(theirs) or 0) >= MOST_PERSONAL_TOKENS:
        raise ApiError(TOO_MANY_TOKENS)
    token, now = new_secret(), utcnow()
    expires_at = (now + expires_in).replace(microsecond=0)
    values = {'name': name, 'scopes': words(scopes), 'created_at': now, 'expires_at': expires_at}
    made = insert(Token).values(user_id=actor, digest=digest_of(token), **values).returning(*Token.__table__.columns)
    return {**db.session.execute(made).one()._mapping, 'token': token}


def change_personal_token(*, actor: int, id: int, name: str | None = None, scopes: list[str] | None = None) -> None:
    """Renames and narrows. 404 where it is nobody's or somebody else's."""
    lock_user(actor)
    theirs = (Token.id == id, Token.user_id == actor, Token.seed.is_(None))
    token = db.session.execute(select(Token.scopes).where(*theirs)).one_or_none()
    if token is None:
        raise NotFoundError
    if beyond := words([scope for scope in scopes or () if scope not in scopes_of(token.scopes)]):
        message = f'The token has not: {beyond}.'
        raise ApiError(WIDENED_TOKEN, errors={'scopes': [message]})
    changes = {'name': name, 'scopes': scopes and words(scopes)}
    changes = {column: value for column, value in changes.items() if value is not None}
    if changes:
        db.session.execute(update(Token).where(Token.id == id).values(changes))


def revoke_personal_tokens(*, actor: int, id: int | None = None) -> None:
    """Ends one at once, or all of them. 404 where the one is nobody's or somebody else's."""
    lock_user(actor)
    theirs = delete(Token).where(Token.user_id == actor, Token.seed.is_(None))
    one = theirs if id is None else theirs.where(Token.id == id)
    if not db.session.connection().execute(one).rowcount and id is not None:
        raise NotFoundError


def revoke_token(*, token_id: int | None) -> None:
    """Ends a token at once."""
    db.session.execute(delete(Token).where(Token.id == token_id))


def revoke_tokens_of(user_id: int, *, but: int | None = None) -> None:
    """Ends all tokens of a user, or all but the one with that id. Those that are being made are waited for."""
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    db.session.execute(delete(Token).where(Token.user_id == user_id, Token.id != (but or 0)))


def note_used(token_id: int, last_used_at: datetime | None) -> None:
    """Writes down that a token was used, at most once a minute. last_used_at: what is known of it."""
    now = utcnow()
    if last_used_at is None or now - last_used_at >= USED_AT_MOST_EVERY:
        with if_possible():
            current_connection().execute(update(Token).where(Token.id == token_id).values(last_used_at=now))


def note_scope(token_id: int | None, scope: str) -> None:
    """Writes down that a scope of a token was used, once however many find out at the same moment."""
    unnoted = (Token.scopes.is_not(None), ~(' ' + Token.used_scopes + ' ').contains(f' {scope} '))
    used = func.trim(Token.used_scopes + f' {scope}')
    current_connection().execute(update(Token).where(Token.id == token_id, *unnoted).values(used_scopes=used))


def scopes_of(text: str | None) -> frozenset[str]:
    """The scopes as a column has them; null is a token that may do everything."""
    return frozenset(SCOPES) if text is None else frozenset(text.split())


def is_well_formed(token: str) -> bool:
    """Whether it can be a token at all: a mistyped one is not worth a look into the database."""
    if PERSONAL_TOKEN.fullmatch(token):
        secret = token[:-CHECKSUM_LENGTH]
        return secret + checksum(secret) == token
    return DERIVED_TOKEN.fullmatch(token) is not None


def new_secret() -> str:
    """A prefix that scanners know, 256 random bits and a checksum."""
    secret = PREFIX + digits_of(secrets.randbits(256), SECRET_LENGTH)
    return secret + checksum(secret)


def checksum(text: str) -> str:
    return digits_of(crc32(text.encode()), CHECKSUM_LENGTH)


def digits_of(number: int, length: int) -> str:
    """The number with base 62."""
    digits = ''
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def readable(derived: bytes) -> str:
    """32 hex digits of what was derived."""
    return derived[:16].hex()


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
