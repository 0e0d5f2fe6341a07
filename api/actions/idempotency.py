"""Idempotency records, saved in the transaction of the request that they belong to."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select

from api.clock import utcnow
from api.db.session import db
from api.errors import ApiError
from api.models import IdempotencyRecord
from api.problems import REQUEST_IN_PROGRESS

RETENTION = timedelta(hours=24)
PURGE_BATCH_SIZE = 1000
RETRY_AFTER = 1  # seconds


def find_idempotency_record(digest: bytes) -> Any:
    """Return a row with the fingerprint and the encrypted response, or None.

    Raise ApiError (409) if a request with this digest is in progress. SQLite allows one writer at a time, so there the
    call waits for that request instead.
    """
    if db.engine.dialect.name == 'postgresql':
        lock_key = int.from_bytes(digest[:8], 'big', signed=True)
        if not db.session.scalar(select(func.pg_try_advisory_xact_lock(lock_key))):
            raise ApiError(REQUEST_IN_PROGRESS, headers={'Retry-After': str(RETRY_AFTER)})
    conditions = (IdempotencyRecord.digest == digest, IdempotencyRecord.created_at > utcnow() - RETENTION)
    return db.session.execute(
        select(IdempotencyRecord.fingerprint, IdempotencyRecord.encrypted_response).where(*conditions)
    ).one_or_none()


def save_idempotency_record(
    *, user_id: int | None, digest: bytes, fingerprint: bytes, encrypted_response: bytes
) -> None:
    db.session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.digest == digest))
    values = {
        'digest': digest,
        'fingerprint': fingerprint,
        'encrypted_response': encrypted_response,
        'created_at': utcnow(),
    }
    db.session.execute(insert(IdempotencyRecord).values(user_id=user_id, **values))


def purge_idempotency_records() -> int:
    """Delete at most PURGE_BATCH_SIZE expired records and return their number."""
    expired = (
        select(IdempotencyRecord.id).where(IdempotencyRecord.created_at <= utcnow() - RETENTION).limit(PURGE_BATCH_SIZE)
    )
    return db.session.connection().execute(delete(IdempotencyRecord).where(IdempotencyRecord.id.in_(expired))).rowcount
