"""How often something happened lately: in Redis for all processes, in memory for one alone."""

import logging
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, NamedTuple

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

MEMORY = 'memory://'
SECONDS_TO_WAIT = 0.25
SECONDS_UNTIL_RETRY = 1
SECONDS_BETWEEN_SWEEPS = 60
LOCALLY_ONE_COUNTS = 2
PROBE = 'microblog/probe'

# Counts, begins a window with the first, and tells how many milliseconds of it are left.
COUNT = """
local times = redis.call('INCR', KEYS[1])
if times == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {times, redis.call('PTTL', KEYS[1])}
"""

log = logging.getLogger(__name__)


class Count(NamedTuple):
    """times: within this window, this time included. seconds: until the window ends."""

    times: int
    seconds: float


class Memory:
    """The counts of this process. Those whose windows have ended are swept out once a minute."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()

    def count(self, key: str, seconds: float, amount: int = 1) -> Count:
        now = monotonic()
        with self._lock:
            if now >= self._sweep_at:
                self._counts = {each: count for each, count in self._counts.items() if count[1] > now}
                self._sweep_at = now + SECONDS_BETWEEN_SWEEPS
            times, ends_at = self._counts.get(key, (0, 0.0))
            if ends_at <= now:
                times, ends_at = 0, now + seconds
            self._counts[key] = times + amount, ends_at
        # A sum of floats less one of them can be a little more than the other.
        return Count(times + amount, min(seconds, ends_at - now))


class Counters:
    """Counts in windows of time, which begin when something happens for the first time.

    uri: `memory://`, or `redis://host:port/number`. While Redis does not answer this process counts for itself, and
    counts everything twice, because it knows only its own part. Whoever finds out waits for SECONDS_TO_WAIT; then a
    thread watches until Redis is back, and nobody else waits.
    """

    def __init__(self, uri: str):
        self._local = Memory()
        self._shared = None if uri == MEMORY else script_in(uri)
        self._away = False
        self._lock = threading.Lock()

    def count(self, key: str, seconds: int) -> Count:
        """Counts one more for the key within a window of that many seconds."""
        if self._shared is None:
            return self._local.count(key, seconds)
        if not self._away:
            try:
                return self._count_there(key, seconds)
            except RedisError as error:
                self._leave(error)
        return self._local.count(key, seconds, LOCALLY_ONE_COUNTS)

    def _count_there(self, key: str, seconds: int) -> Count:
        times, milliseconds = self._shared(keys=[key], args=[seconds * 1000])  # type: ignore[misc]
        return Count(times, milliseconds / 1000)

    def _leave(self, error: Exception) -> None:
        with self._lock:
            if not self._away:
                self._away = True
                log.error('Redis is away, limits are counted in this process: %s', error)
                threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._away:
            sleep(SECONDS_UNTIL_RETRY)
            # A ping would be answered by one that is full or read-only, too.
            with suppress(RedisError):
                self._count_there(PROBE, SECONDS_UNTIL_RETRY)
                self._away = False
        log.warning('Redis is back, limits are counted there again')


def script_in(uri: str) -> Any:
    waits: dict[str, Any] = {'socket_timeout': SECONDS_TO_WAIT, 'socket_connect_timeout': SECONDS_TO_WAIT}
    redis: Any = Redis.from_url(uri, **waits, retry=Retry(NoBackoff(), 0), client_name='microblog')
    return redis.register_script(COUNT)
