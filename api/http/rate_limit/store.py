"""Counters of rate limits: in Redis for all processes, or in the memory of one process."""

import logging
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, NamedTuple

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

MEMORY = 'memory://'
REDIS_TIMEOUT = 0.25
PROBE_INTERVAL = 1
EXPIRY_INTERVAL = 60
FALLBACK_WEIGHT = 2
PROBE_KEY = 'microblog/probe'

# Increments the counter, starts the window at the first hit, and returns the count and the milliseconds left.
COUNT_SCRIPT = """
local times = redis.call('INCR', KEYS[1])
if times == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {times, redis.call('PTTL', KEYS[1])}
"""

log = logging.getLogger(__name__)


class WindowCount(NamedTuple):
    """The state of a counter. hits: in this window, including this one. reset_after: seconds until the window ends."""

    hits: int
    reset_after: float


class MemoryStore:
    """Counters in the memory of this process. Expired windows are removed once a minute."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._expire_at = 0.0
        self._lock = threading.Lock()

    def increment(self, key: str, seconds: float, amount: int = 1) -> WindowCount:
        """Add `amount` to the counter of the key. seconds: the length of a new window."""
        now = monotonic()
        with self._lock:
            if now >= self._expire_at:
                self._windows = {name: count for name, count in self._windows.items() if count[1] > now}
                self._expire_at = now + EXPIRY_INTERVAL
            hits, ends_at = self._windows.get(key, (0, 0.0))
            if ends_at <= now:
                hits, ends_at = 0, now + seconds
            self._windows[key] = hits + amount, ends_at
        # Floating point: (now + seconds) - now can be slightly more than seconds.
        return WindowCount(hits + amount, min(seconds, ends_at - now))


class RateLimitStore:
    """Counters with fixed windows, which start at the first hit.

    uri: `memory://`, or `redis://host:port/number`. While Redis does not respond, this process counts in its own
    memory, and counts every request FALLBACK_WEIGHT times, because it does not see those of other processes. Requests
    that detect the failure wait for up to REDIS_TIMEOUT seconds. Then a thread probes Redis until it responds, and no
    other request waits.
    """

    def __init__(self, uri: str):
        self._local = MemoryStore()
        self._shared = None if uri == MEMORY else register_script(uri)
        self._is_down = False
        self._lock = threading.Lock()

    def increment(self, key: str, seconds: int) -> WindowCount:
        """Add one to the counter of the key. seconds: the length of a new window."""
        if self._shared is None:
            return self._local.increment(key, seconds)
        if not self._is_down:
            try:
                return self._increment_shared(key, seconds)
            except RedisError as error:
                self._mark_down(error)
        return self._local.increment(key, seconds, FALLBACK_WEIGHT)

    def _increment_shared(self, key: str, seconds: int) -> WindowCount:
        hits, milliseconds = self._shared(keys=[key], args=[seconds * 1000])  # type: ignore[misc]
        return WindowCount(hits, milliseconds / 1000)

    def _mark_down(self, error: Exception) -> None:
        with self._lock:
            if not self._is_down:
                self._is_down = True
                log.error('Redis is unavailable, counting rate limits in this process: %s', error)
                threading.Thread(target=self._probe_until_up, daemon=True).start()

    def _probe_until_up(self) -> None:
        while self._is_down:
            sleep(PROBE_INTERVAL)
            # PING would also succeed on a server that is full or read-only.
            with suppress(RedisError):
                self._increment_shared(PROBE_KEY, PROBE_INTERVAL)
                self._is_down = False
        log.warning('Redis is available again, counting rate limits there')


def register_script(uri: str) -> Any:
    timeouts: dict[str, Any] = {'socket_timeout': REDIS_TIMEOUT, 'socket_connect_timeout': REDIS_TIMEOUT}
    redis: Any = Redis.from_url(uri, **timeouts, retry=Retry(NoBackoff(), 0), client_name='microblog')
    return redis.register_script(COUNT_SCRIPT)
