"""A read replica that replays the log of the primary, by streaming replication of PostgreSQL.

The lag is measured without comparing clocks. From time to time, the log sequence number (LSN) of the primary is
recorded with the current time. Once the replica has replayed that LSN, it has everything committed before that time.
"""

import logging
import math
from collections import deque
from threading import Lock, Thread
from time import monotonic

from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from api.db.engine import TimeoutConnection, autocommit_engine

MAX_LAG = 30  # seconds
PROBE_INTERVAL = 2  # seconds
PROBE_TIMEOUT = 1  # seconds
PRIMARY_LSN_QUERY = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"
# No row if the server is no longer a replica.
REPLICA_LSN_QUERY = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint WHERE pg_is_in_recovery()"

log = logging.getLogger(__name__)


class Replica:
    """A replica for reads that may be MAX_LAG seconds old. A thread probes it, so that requests do not wait."""

    def __init__(self, primary: Engine, engine: Engine):
        self.engine = engine
        self._primary = primary
        event.listen(engine, 'connect', shorten_timeout)
        self._samples: deque[tuple[float, int]] = deque(maxlen=MAX_LAG)
        self._fresh_until = self._probe_at = -math.inf
        self._probe_lock = Lock()
        self._is_down = False

    def is_fresh(self) -> bool:
        """Return whether the replica is known to have everything committed more than MAX_LAG seconds ago.

        Start a probe if one is due.
        """
        now = monotonic()
        if now >= self._probe_at and self._probe_lock.acquire(blocking=False):
            Thread(target=self._probe, daemon=True).start()
        return now < self._fresh_until

    def mark_down(self, error: Exception) -> None:
        """Stop reads from the replica until a probe succeeds."""
        self._fresh_until = -math.inf
        if not self._is_down:
            self._is_down = True
            log.error('replica unavailable, reading from the primary: %s', error)

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
            log.warning('replica available again')


def shorten_timeout(connection: TimeoutConnection, record: object) -> None:
    """Shorten the timeout of a connection to the replica, because reads can fall back to the primary."""
    connection.timeout = PROBE_TIMEOUT


def read_lsn(engine: Engine, statement: str) -> int:
    """Return an LSN, in bytes from the start of the log."""
    with autocommit_engine(engine).connect() as connection:
        lsn: int = connection.exec_driver_sql(statement).scalar_one()
        return lsn
