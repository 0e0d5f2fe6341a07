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

from api.actions.answers import keep_answer, kept_answer
from api.edge.transaction import is_dry_run
from api.errors import ApiError
from api.extensions import keyring
from api.problems import INVALID_FIELDS, KEY_REUSED

KEY = 'Idempotency-Key'
REPLAYED = 'Idempotency-Replayed'
# The draft wants a string in quotes (RFC 8941); most clients send it without.
FORM = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
REQUEST, ANSWER = 'idempotent request', 'kept answer'


def once(answer: Callable[[], Response]) -> Response:
    """What `answer` gives, or gave when the same caller sent the same request with the same key before.

    409 while that is under way, 422 for another request with the key.
    """
    sent = request.headers.get(KEY)
    if sent is None or is_dry_run():
        return answer()
    key = well_formed(sent)
    caller = g.get('flask_httpauth_user')
    user_id = caller.id if caller else None
    digest = hashlib.sha256(f'{user_id} {request.endpoint} {key}'.encode()).digest()
    if kept := kept_answer(digest):
        return again(key, kept.fingerprint, kept.sealed)
    given = answer()
    keep_answer(
        user_id=user_id,
        digest=digest,
        fingerprint=keyring.derive(REQUEST, whole_request()),
        sealed=keyring.encrypt(ANSWER, key.encode(), packed(given)),
    )
    return given


def well_formed(sent: str) -> str:
    """The key without its quotes."""
    match = FORM.fullmatch(sent)
    if not match:
        raise ApiError(INVALID_FIELDS, errors={KEY: ['Must be 1 to 255 visible ASCII characters.']})
    return match[1]


def again(key: str, fingerprint: bytes, sealed: bytes) -> Response:
    if not any(hmac.compare_digest(fingerprint, each) for each in keyring.derive_all(REQUEST, whole_request())):
        raise ApiError(KEY_REUSED)
    status, headers, body = orjson.loads(keyring.decrypt(ANSWER, key.encode(), sealed))
    answer = Response(body, status, headers)
    answer.headers[REPLAYED] = 'true'
    return answer


def whole_request() -> bytes:
    """All that makes the request what it is: its URL and body. The caller and the operation are known."""
    return request.full_path.encode() + b'\0' + request.get_data()


def packed(answer: Response) -> bytes:
    return orjson.dumps([answer.status_code, list(answer.headers), answer.get_data(as_text=True)])
