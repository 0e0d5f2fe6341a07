"""`Idempotency-Key`: retrying a POST returns the stored response and does not repeat the operation.

The response is stored in the transaction of the change, so that both are committed or neither is. A request that fails
changes nothing, and its response is not stored.
"""

import hashlib
import hmac
import re
from collections.abc import Callable

import orjson
from flask import Response, g, request

from api.actions.idempotency import find_idempotency_record, save_idempotency_record
from api.errors import ApiError
from api.http.unit_of_work import is_dry_run
from api.problems import IDEMPOTENCY_KEY_REUSED, INVALID_FIELDS
from api.security.keyring import keyring

KEY_HEADER = 'Idempotency-Key'
REPLAYED_HEADER = 'Idempotency-Replayed'
# The draft requires a quoted string (RFC 8941), but most clients send no quotes.
KEY_PATTERN = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
# Part of every derived key: changing one of them makes the stored records unusable.
REQUEST_PURPOSE, RESPONSE_PURPOSE = 'idempotent request', 'kept answer'


def idempotent(call: Callable[[], Response]) -> Response:
    """Return the result of `call`, or the stored response if the caller sent the same request with the same key before.

    Raise 409 while that request is in progress, and 422 if the key was used for a different request.
    """
    header = request.headers.get(KEY_HEADER)
    if header is None or is_dry_run():
        return call()
    key = parse_key(header)
    caller = g.get('flask_httpauth_user')
    user_id = caller.id if caller else None
    digest = hashlib.sha256(f'{user_id} {request.endpoint} {key}'.encode()).digest()
    if record := find_idempotency_record(digest):
        return replay(key, record.fingerprint, record.encrypted_response)
    response = call()
    save_idempotency_record(
        user_id=user_id,
        digest=digest,
        fingerprint=keyring.derive(REQUEST_PURPOSE, canonical_request()),
        encrypted_response=keyring.encrypt(RESPONSE_PURPOSE, key.encode(), serialize_response(response)),
    )
    return response


def parse_key(header: str) -> str:
    """Return the key without quotes. Raise 400 if it is invalid."""
    match = KEY_PATTERN.fullmatch(header)
    if not match:
        raise ApiError(INVALID_FIELDS, errors={KEY_HEADER: ['Must be 1 to 255 visible ASCII characters.']})
    return match[1]


def replay(key: str, fingerprint: bytes, encrypted_response: bytes) -> Response:
    """Return the stored response. Raise 422 if the fingerprint is not that of the current request."""
    if not any(
        hmac.compare_digest(fingerprint, candidate)
        for candidate in keyring.derive_all(REQUEST_PURPOSE, canonical_request())
    ):
        raise ApiError(IDEMPOTENCY_KEY_REUSED)
    status, headers, body = orjson.loads(keyring.decrypt(RESPONSE_PURPOSE, key.encode(), encrypted_response))
    response = Response(body, status, headers)
    response.headers[REPLAYED_HEADER] = 'true'
    return response


def canonical_request() -> bytes:
    """Return the URL and body, which identify the request; the digest of the record covers the caller and endpoint."""
    return request.full_path.encode() + b'\0' + request.get_data()


def serialize_response(response: Response) -> bytes:
    return orjson.dumps([response.status_code, list(response.headers), response.get_data(as_text=True)])
