"""Pagination cursors, encoded like the application's, so that contenders do the same work and return the same bytes."""

import base64
import hmac
import os

SECRET_KEY = os.environ.get('SECRET_KEY', 'a key for benchmarks, which keeps no secret')


def encode_cursor(path: str, position: int) -> str:
    value = position.to_bytes(8, 'big')
    signature = hmac.digest(SECRET_KEY.encode(), b'position\0' + path.encode() + value, 'sha256')[:8]
    return base64.urlsafe_b64encode(value + signature).rstrip(b'=').decode()
