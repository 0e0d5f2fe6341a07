"""Positions in the order of a collection, as clients see them.

A position is the value of the column that orders the collection, signed for the path, so that nothing but what was
given out is taken, and only where it was given out.
"""

import base64
import hmac
from collections.abc import Iterator

from flask import request

from api.errors import ApiError
from api.problems import INVALID_CURSOR
from api.security.keyring import keyring

PURPOSE = 'position'
MAC_BYTES = 8


def encode_cursor(cursor: int) -> str:
    """The position as clients see it."""
    value = cursor.to_bytes(8, 'big')
    return encode_base64(value + next(cursor_signatures(value)))


def decode_cursor(text: str) -> int | None:
    """The position that was sealed; None for the empty text. 400 for what was never given out for this path."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + '==', altchars='-_', validate=True)
    except ValueError:
        raw = b''
    value, signature = raw[:8], raw[8:]
    # Base64 has several ways to write some bytes, of which one was given out.
    if encode_base64(raw) == text and any(
        hmac.compare_digest(signature, candidate) for candidate in cursor_signatures(value)
    ):
        return int.from_bytes(value, 'big')
    raise ApiError(INVALID_CURSOR)


def encode_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def cursor_signatures(value: bytes) -> Iterator[bytes]:
    """With the current key, then with those before it."""
    return (mac[:MAC_BYTES] for mac in keyring.derive_all(PURPOSE, request.path.encode() + value))
