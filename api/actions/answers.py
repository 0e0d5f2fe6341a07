"""Answers that are kept, in the transaction that they tell of."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select

from api.clock import utcnow
from api.errors import ApiError
from api.extensions import db
from api.models import KeptAnswer
from api.problems import REQUEST_IN_FLIGHT

KEPT_FOR = timedelta(hours=24)
FORGOTTEN_AT_ONCE = 1000
SECONDS_UNTIL_RETRY = 1


def kept_answer(digest: bytes) -> Any:
    """The fingerprint and the sealed answer, or None; 409 while the request that will be kept is under way.

    On SQLite, where one writes at a time, that one is waited for.
    """
    if db.engine.dialect.name == 'postgresql':
        number = int.from_bytes(digest[:8], 'big', signed=True)
        if not db.session.scalar(select(func.pg_try_advisory_xact_lock(number))):
            raise ApiError(REQUEST_IN_FLIGHT, headers={'Retry-After': str(SECONDS_UNTIL_RETRY)})
    alive = (KeptAnswer.digest == digest, KeptAnswer.created_at > utcnow() - KEPT_FOR)
    return db.session.execute(select(KeptAnswer.fingerprint, KeptAnswer.sealed).where(*alive)).one_or_none()


def keep_answer(*, user_id: int | None, digest: bytes, fingerprint: bytes, sealed: bytes) -> None:
    db.session.execute(delete(KeptAnswer).where(KeptAnswer.digest == digest))
    values = {'digest': digest, 'fingerprint': fingerprint, 'sealed': sealed, 'created_at': utcnow()}
    db.session.execute(insert(KeptAnswer).values(user_id=user_id, **values))


def forget_answers() -> int:
    """Deletes answers whose time is up, not more than a batch of them, and returns how many they were."""
    old = select(KeptAnswer.id).where(KeptAnswer.created_at <= utcnow() - KEPT_FOR).limit(FORGOTTEN_AT_ONCE)
    return db.session.connection().execute(delete(KeptAnswer).where(KeptAnswer.id.in_(old))).rowcount
