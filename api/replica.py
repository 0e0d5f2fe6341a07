"""A replica of the database: PostgreSQL's streaming replication copies the primary's log to it, and it replays that.

Nobody's clock is asked how far it is behind. From time to time the position in the primary's log is noted with the
moment; once the replica has replayed up to there, it has everything that was committed before that moment.
"""

import logging
import math
from collections import deque
from threading import Lock, Thread
from time import monotonic

from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from api.database import PatientConnection, reader_of

MOST_SECONDS_BEHIND = 30
SECONDS_BETWEEN_LOOKS = 2
SECONDS_FOR_AN_ANSWER = 1
WRITTEN = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"
# No row where it is a replica no more.
REPLAYED = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint WHERE pg_is_in_recovery()"

log = logging.getLogger(__name__)


class Replica:
    """Where to read what may be half a minute old. Requests do not wait for a look at it, which a thread takes."""

    def __init__(self, primary: Engine, engine: Engine):
        self.engine = engine
        self._primary = primary
        event.listen(engine, 'connect', lose_patience)
        self._noted: deque[tuple[float, int]] = deque(maxlen=MOST_SECONDS_BEHIND)
        self._near_until = self._look_at = -math.inf
        self._looking = Lock()
        self._is_away = False

    def is_near(self) -> bool:
        """Whether it is known to have everything that was committed more than MOST_SECONDS_BEHIND ago."""
        now = monotonic()
        if now >= self._look_at and self._looking.acquire(blocking=False):
            Thread(target=self._look, daemon=True).start()
        return now < self._near_until

    def leave(self, error: Exception) -> None:
        """Reads nothing there until it was looked at once more."""
        self._near_until = -math.inf
        if not self._is_away:
            self._is_away = True
            log.error('the replica is left alone: %s', error)

    def _look(self) -> None:
        try:
            self._noted.append((monotonic(), position(self._primary, WRITTEN)))
            replayed = position(self.engine, REPLAYED)
        except SQLAlchemyError as error:
            self.engine.dispose()
            self.leave(error)
        else:
            self._take(replayed)
        finally:
            self._look_at = monotonic() + SECONDS_BETWEEN_LOOKS
            self._looking.release()

    def _take(self, replayed: int) -> None:
        while self._noted and self._noted[0][1] <= replayed:
            self._near_until = self._noted.popleft()[0] + MOST_SECONDS_BEHIND
        if self._is_away:
            self._is_away = False
            log.warning('the replica answers again')


def lose_patience(connection: PatientConnection, record: object) -> None:
    """There is somebody else to ask: it is sooner given up than the primary."""
    connection.patience = SECONDS_FOR_AN_ANSWER


def position(engine: Engine, statement: str) -> int:
    """In the log, in bytes."""
    with reader_of(engine).connect() as connection:
        found: int = connection.exec_driver_sql(statement).scalar_one()
        return found
