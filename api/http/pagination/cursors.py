"""Opaque pagination cursors.

A cursor is the value of the column that orders the collection. It is signed together with the path, so that the API
accepts only cursors that it issued for the same collection.
"""

import base64
import hmac
from collections.abc import Iterator

from flask import request

from api.errors import ApiError
from api.problems import INVALID_CURSOR
from api.security.keyring import keyring

# Part of every signature: changing it invalidates all issued cursors.
PURPOSE = 'position'
MAC_BYTES = 8


def encode_cursor(cursor: int) -> str:
    """Return the signed cursor as URL-safe Base64 text without padding."""
    value = cursor.to_bytes(8, 'big')
    return encode_base64(value + next(cursor_signatures(value)))


def decode_cursor(text: str) -> int | None:
    """Return the value of the cursor, or None for the empty text. Raise 400 if it was not issued for this path."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + '==', altchars='-_', validate=True)
    except ValueError:
        raw = b''
    value, signature = raw[:8], raw[8:]
    # Several Base64 texts decode to the same bytes; only the canonical one was issued.
    if encode_base64(raw) == text and any(
        hmac.compare_digest(signature, candidate) for candidate in cursor_signatures(value)
    ):
        return int.from_bytes(value, 'big')
    raise ApiError(INVALID_CURSOR)


def encode_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def cursor_signatures(value: bytes) -> Iterator[bytes]:
    """Yield the signatures with the current key, then with the previous keys."""
    return (mac[:MAC_BYTES] for mac in keyring.derive_all(PURPOSE, request.path.encode() + value))
