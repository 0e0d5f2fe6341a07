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
    """Return the scopes of a database column. Null means all scopes."""
    return frozenset(SCOPES) if text is None else frozenset(text.split())


def is_well_formed(token: str) -> bool:
    """Return whether the text has the format of a token. A mistyped token needs no database query."""
    if PERSONAL_TOKEN_PATTERN.fullmatch(token):
        secret = token[:-CHECKSUM_LENGTH]
        return secret + checksum(secret) == token
    return SESSION_TOKEN_PATTERN.fullmatch(token) is not None


def generate_personal_token() -> str:
    """Return a new token: a prefix that secret scanners recognise, 256 random bits and a checksum."""
    secret = PERSONAL_TOKEN_PREFIX + to_base62(secrets.randbits(256), SECRET_LENGTH)
    return secret + checksum(secret)


def checksum(text: str) -> str:
    return to_base62(crc32(text.encode()), CHECKSUM_LENGTH)


def to_base62(number: int, length: int) -> str:
    """Return the number in base 62, padded with zeros to `length` digits."""
    digits = ''
    for _ in range(length):
        number, digit = divmod(number, len(BASE62_DIGITS))
        digits = BASE62_DIGITS[digit] + digits
    return digits


def session_token_text(derived: bytes) -> str:
    """Return the first 16 bytes of the derived key as 32 hex digits."""
    return derived[:16].hex()


def token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
