"""The formats and digests of access tokens."""

import hashlib
import re
import secrets
from binascii import crc32

from api.security.scopes import SCOPES

PERSONAL_TOKEN_PREFIX = 'mb_'


BASE62_DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'


SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6  # digits of 256 and of 32 bits


SESSION_TOKEN_PATTERN = re.compile('[0-9a-f]{32}')


PERSONAL_TOKEN_PATTERN = re.compile(f'{PERSONAL_TOKEN_PREFIX}[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}')


def parse_scopes(text: str | None) -> frozenset[str]:
    """The scopes as a column has them; null is a token that may do everything."""
    return frozenset(SCOPES) if text is None else frozenset(text.split())


def is_well_formed(token: str) -> bool:
    """Whether it can be a token at all: a mistyped one is not worth a look into the database."""
    if PERSONAL_TOKEN_PATTERN.fullmatch(token):
        secret = token[:-CHECKSUM_LENGTH]
        return secret + checksum(secret) == token
    return SESSION_TOKEN_PATTERN.fullmatch(token) is not None


def generate_personal_token() -> str:
    """A prefix that scanners know, 256 random bits and a checksum."""
    secret = PERSONAL_TOKEN_PREFIX + to_base62(secrets.randbits(256), SECRET_LENGTH)
    return secret + checksum(secret)


def checksum(text: str) -> str:
    return to_base62(crc32(text.encode()), CHECKSUM_LENGTH)


def to_base62(number: int, length: int) -> str:
    """The number with base 62."""
    digits = ''
    for _ in range(length):
        number, digit = divmod(number, len(BASE62_DIGITS))
        digits = BASE62_DIGITS[digit] + digits
    return digits


def session_token_text(derived: bytes) -> str:
    """32 hex digits of what was derived."""
    return derived[:16].hex()


def token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
