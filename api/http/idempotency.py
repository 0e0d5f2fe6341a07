"""`Idempotency-Key`: a POST that is sent again is answered again, and done once.

The answer is kept in the transaction of the change, so that there is never one without the other. What ends with an
error changes nothing and is not kept.
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
# The draft wants a string in quotes (RFC 8941); most clients send it without.
KEY_PATTERN = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
REQUEST_PURPOSE, RESPONSE_PURPOSE = 'idempotent request', 'kept answer'


def idempotent(call: Callable[[], Response]) -> Response:
    """What `answer` gives, or gave when the same caller sent the same request with the same key before.

    409 while that is under way, 422 for another request with the key.
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
    """The key without its quotes."""
    match = KEY_PATTERN.fullmatch(header)
    if not match:
        raise ApiError(INVALID_FIELDS, errors={KEY_HEADER: ['Must be 1 to 255 visible ASCII characters.']})
    return match[1]


def replay(key: str, fingerprint: bytes, encrypted_response: bytes) -> Response:
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
    """All that makes the request what it is: its URL and body. The caller and the operation are known."""
    return request.full_path.encode() + b'\0' + request.get_data()


def serialize_response(response: Response) -> bytes:
    return orjson.dumps([response.status_code, list(response.headers), response.get_data(as_text=True)])
