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

from api.db.engine import TimeoutConnection, autocommit_engine

MAX_LAG = 30
PROBE_INTERVAL = 2
PROBE_TIMEOUT = 1
PRIMARY_LSN_QUERY = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"
# No row where it is a replica no more.
REPLICA_LSN_QUERY = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint WHERE pg_is_in_recovery()"

log = logging.getLogger(__name__)


class Replica:
    """Where to read what may be half a minute old. Requests do not wait for a look at it, which a thread takes."""

    def __init__(self, primary: Engine, engine: Engine):
        self.engine = engine
        self._primary = primary
        event.listen(engine, 'connect', shorten_timeout)
        self._samples: deque[tuple[float, int]] = deque(maxlen=MAX_LAG)
        self._fresh_until = self._probe_at = -math.inf
        self._probe_lock = Lock()
        self._is_down = False

    def is_fresh(self) -> bool:
        """Whether it is known to have everything that was committed more than MOST_SECONDS_BEHIND ago."""
        now = monotonic()
        if now >= self._probe_at and self._probe_lock.acquire(blocking=False):
            Thread(target=self._probe, daemon=True).start()
        return now < self._fresh_until

    def mark_down(self, error: Exception) -> None:
        """Reads nothing there until it was looked at once more."""
        self._fresh_until = -math.inf
        if not self._is_down:
            self._is_down = True
            log.error('the replica is left alone: %s', error)

    def _probe(self) -> None:
        try:
            self._samples.append((monotonic(), read_lsn(self._primary, PRIMARY_LSN_QUERY)))
            replayed = read_lsn(self.engine, REPLICA_LSN_QUERY)
        except SQLAlchemyError as error:
            self.engine.dispose()
            self.mark_down(error)
        else:
            self._update_freshness(replayed)
        finally:
            self._probe_at = monotonic() + PROBE_INTERVAL
            self._probe_lock.release()

    def _update_freshness(self, replayed: int) -> None:
        while self._samples and self._samples[0][1] <= replayed:
            self._fresh_until = self._samples.popleft()[0] + MAX_LAG
        if self._is_down:
            self._is_down = False
            log.warning('the replica answers again')


def shorten_timeout(connection: TimeoutConnection, record: object) -> None:
    """There is somebody else to ask: it is sooner given up than the primary."""
    connection.timeout = PROBE_TIMEOUT


def read_lsn(engine: Engine, statement: str) -> int:
    """In the log, in bytes."""
    with autocommit_engine(engine).connect() as connection:
        lsn: int = connection.exec_driver_sql(statement).scalar_one()
        return lsn
