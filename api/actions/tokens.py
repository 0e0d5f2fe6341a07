"""How tokens come and go.

A token is derived from the server's key and a random seed. The row holds the seed and the token's digest: enough to
recognise the token, and with the key to give it out again, but the database alone holds nothing that works.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, insert, select

from api.clock import utcnow
from api.extensions import db, keyring
from api.models import Token, User
from api.queries.tokens import lasting_tokens

LIFETIME = timedelta(seconds=3600)
LEFT_TO_BE_GIVEN_AGAIN = timedelta(seconds=60)
PURPOSE = 'access token'


class IssuedToken(NamedTuple):
    token: str
    expires_at: datetime


def issue_token(*, actor: int) -> IssuedToken:
    """The actor's token while it has more than a minute left, else a new one."""
    # Whoever asks at the same moment waits here, and is then given the same token.
    db.session.execute(select(User.id).where(User.id == actor).with_for_update(key_share=True))
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
    db.session.execute(delete(Token).where(Token.user_id == user_id, Token.expires_at <= now))
    db.session.execute(
        insert(Token).values(
            user_id=user_id, digest=digest_of(issued.token), seed=seed, created_at=now, expires_at=issued.expires_at
        )
    )
    return issued


def revoke_token(*, token_id: int | None) -> None:
    """Ends a token at once."""
    db.session.execute(delete(Token).where(Token.id == token_id))


def readable(derived: bytes) -> str:
    """32 hex digits of what was derived."""
    return derived[:16].hex()


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
