"""Hits are counted in Redis by all processes together, and by each process alone while Redis is down."""

import logging
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from api.http.rate_limit.store import RateLimitStore
from config import ConfigError, read_settings
from support.redis_server import RedisServer, redis_server, wait_until
from tests.support.sockets import Trace, Tracer

LONGEST_WAIT = 0.25


RETRY_INTERVAL = 1


THREAD_COUNT = 8


@pytest.fixture(scope='module')
def running_redis(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp('redis')) as redis:
        yield redis


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    running_redis.client.flushall()
    return running_redis


@pytest.fixture(params=['memory', pytest.param('redis', marks=pytest.mark.process)])
def counters(request: pytest.FixtureRequest) -> RateLimitStore:
    return RateLimitStore('memory://' if request.param == 'memory' else request.getfixturevalue('redis').uri)


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    return Tracer(monkeypatch)


def traced(tracer: Tracer, counters: RateLimitStore, key: str) -> tuple[int, Trace]:
    """Return the number of hits, and a trace of the calls to Redis."""
    with tracer.trace() as trace:
        return counters.increment(key, 60).hits, trace


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Yield the pauses, in seconds, that threads request before they retry Redis; they really pause for 0.02 seconds.

    Afterwards, check that all of these threads have ended.
    """
    before = set(threading.enumerate())
    seconds: list[float] = []

    def pause(duration: float) -> None:
        seconds.append(duration)
        time.sleep(0.02)

    monkeypatch.setattr('api.http.rate_limit.store.sleep', pause)
    yield seconds
    assert set(seconds) <= {RETRY_INTERVAL}
    assert wait_until(lambda: set(threading.enumerate()) <= before)


def is_shared(counters: RateLimitStore, redis: RedisServer) -> bool:
    """Return whether the store counts in Redis now."""
    key = f'probe-{time.monotonic_ns()}'
    counters.increment(key, 60)
    return any(key in stored for stored in redis.all_keys())


class MemoryClock:
    """The clock of a store in memory, which stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.reset_after = 1_000.0
        monkeypatch.setattr('api.http.rate_limit.store.monotonic', self.now)

    def now(self) -> float:
        return self.reset_after

    def move(self, seconds: float) -> None:
        self.reset_after += seconds


class RedisClock:
    """The clock of a Redis server, which is moved by shortening all windows."""

    def __init__(self, redis: RedisServer):
        self.client = redis.client

    def now(self) -> float:
        seconds, microseconds = self.client.time()
        return seconds + microseconds / 1e6

    def move(self, seconds: float) -> None:
        for key in self.client.scan_iter():
            self.client.pexpire(key, self.client.pttl(key) - round(seconds * 1000))


@pytest.fixture
def clock(request: pytest.FixtureRequest, counters: RateLimitStore) -> MemoryClock | RedisClock:
    """Return the clock of `counters`."""
    if counters._shared is None:
        return MemoryClock(request.getfixturevalue('monkeypatch'))
    return RedisClock(request.getfixturevalue('redis'))


def test_each_key_has_its_own_window(counters: RateLimitStore, clock: MemoryClock | RedisClock) -> None:
    began = clock.now()
    counted = [counters.increment(key, 60) for key in ('ana', 'ana', 'ben', 'ana')]
    assert [count.hits for count in counted] == [1, 2, 1, 3]
    clock.move(10)
    later = counters.increment('ana', 60).reset_after
    passed = clock.now() - began
    for count in counted:
        assert 60 - passed - 0.001 <= count.reset_after <= 60
    assert 50 - passed - 0.001 <= later <= 50


def test_window_ends_and_the_next_starts_at_one(counters: RateLimitStore, clock: MemoryClock | RedisClock) -> None:
    counted = [counters.increment('ana', 60) for _ in range(3)]
    assert [count.hits for count in counted] == [1, 2, 3]
    assert 0 < counted[-1].reset_after <= 60
    clock.move(60)
    assert [counters.increment('ana', 60).hits for _ in range(2)] == [1, 2]


def test_requests_do_not_extend_the_window(redis: RedisServer) -> None:
    counters = RateLimitStore(redis.uri)
    counters.increment('ana', 60)
    redis.client.expire(redis.all_keys()[0], 20)
    assert counters.increment('ana', 60).reset_after <= 20


def test_processes_share_counts_in_redis(redis: RedisServer) -> None:
    one, other = RateLimitStore(redis.uri), RateLimitStore(redis.uri)
    assert [store.increment('ana', 60).hits for store in (one, other, one, other)] == [1, 2, 3, 4]


def test_concurrent_hits_are_counted_once_each(counters: RateLimitStore) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREAD_COUNT) as pool:
            for number in range(200 if counters._shared is None else 20):
                barrier = threading.Barrier(THREAD_COUNT)

                def count_twice(_: int, key: str = str(number), barrier: threading.Barrier = barrier) -> list[int]:
                    barrier.wait()
                    return [counters.increment(key, 60).hits for _ in range(2)]

                counted = sorted(hits for pair in pool.map(count_twice, range(THREAD_COUNT)) for hits in pair)
                assert counted == list(range(1, 2 * THREAD_COUNT + 1))
    finally:
        sys.setswitchinterval(interval)


def test_expired_windows_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, clock = RateLimitStore('memory://'), MemoryClock(monkeypatch)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5_000):
            counters.increment(f'guest{number}', 60)
        used = tracemalloc.get_traced_memory()[0] - before
        clock.move(3600)
        counters.increment('ana', 60)
        assert tracemalloc.get_traced_memory()[0] - before < used / 2
    finally:
        tracemalloc.stop()


def test_many_keys_do_not_slow_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are iterated over at most once in 50 seconds, and never by a thread."""
    counters, clock, threads = RateLimitStore('memory://'), MemoryClock(monkeypatch), threading.active_count()

    def cost() -> float:
        """Return the lowest CPU time, in seconds, of five runs."""
        return min(cost_of_ten_seconds() for _ in range(5))

    def cost_of_ten_seconds() -> float:
        began = time.thread_time()
        for _ in range(200):
            counters.increment('ana', 600)
            clock.move(0.05)
        return time.thread_time() - began

    few = cost()
    for number in range(30_000):
        counters.increment(f'guest{number}', 600)
    assert cost() < 3 * few
    assert threading.active_count() == threads


OUTAGES = {
    'killed': (RedisServer.kill, RedisServer.start),
    'frozen': (RedisServer.freeze, RedisServer.thaw),
    'out of memory': (RedisServer.run_out_of_memory, RedisServer.have_memory),
    'read-only': (RedisServer.become_a_replica, RedisServer.become_the_master),
}


Outage = tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]


@pytest.fixture(params=OUTAGES)
def outage(request: pytest.FixtureRequest) -> Outage:
    return OUTAGES[request.param]


@pytest.fixture
def silent() -> Iterator[None]:
    logging.getLogger('api').setLevel('CRITICAL')
    yield
    logging.getLogger('api').setLevel('ERROR')


@pytest.mark.usefixtures('silent')
def test_redis_outage_doubles_hits_and_waits_once(redis: RedisServer, outage: Outage, tracer: Tracer) -> None:
    goes_away, comes_back = outage
    one, other = RateLimitStore(redis.uri), RateLimitStore(redis.uri)
    assert [store.increment('ana', 60).hits for store in (one, other)] == [1, 2]
    goes_away(redis)
    try:
        for store in (one, other):
            counted = [traced(tracer, store, 'ben') for _ in range(20)]
            assert [times for times, _ in counted] == list(range(2, 42, 2))
            (_, first), *others = counted
            assert first.requests
            assert sum(first.waits) <= LONGEST_WAIT
            assert not any(trace.requests or trace.waits for _, trace in others)
    finally:
        comes_back(redis)
    assert wait_until(lambda: is_shared(one, redis) and is_shared(other, redis))
    assert [store.increment('cleo', 60).hits for store in (one, other, one)] == [1, 2, 3]


@pytest.mark.usefixtures('silent')
def test_request_during_a_freeze_waits_once(redis: RedisServer, tracer: Tracer) -> None:
    counters = RateLimitStore(redis.uri)
    counters.increment('ana', 60)
    redis.freeze()
    try:
        barrier = threading.Barrier(THREAD_COUNT)

        def count(_: int) -> Trace:
            barrier.wait()
            return traced(tracer, counters, 'ana')[1]

        with ThreadPoolExecutor(THREAD_COUNT) as pool:
            traces = list(pool.map(count, range(THREAD_COUNT)))
            assert any(trace.waits for trace in traces)
            assert max(sum(trace.waits) for trace in traces) <= LONGEST_WAIT
            assert not any(trace.requests or trace.waits for trace in pool.map(count, range(THREAD_COUNT)))
    finally:
        redis.thaw()
    assert wait_until(lambda: is_shared(counters, redis))


@pytest.mark.usefixtures('silent')
@pytest.mark.parametrize('away', ['killed', 'frozen'])
def test_redis_may_be_down_at_start(redis: RedisServer, away: str, tracer: Tracer) -> None:
    goes_away, comes_back = OUTAGES[away]
    goes_away(redis)
    try:
        counters = RateLimitStore(redis.uri)
        (times, first), (times_later, second) = (traced(tracer, counters, 'ana') for _ in range(2))
        assert (times, times_later) == (2, 4)
        assert first.requests
        assert sum(first.waits) <= LONGEST_WAIT
        assert (second.requests, second.waits) == (0, [])
    finally:
        comes_back(redis)
    assert wait_until(lambda: is_shared(counters, redis))


@contextmanager
def full_listen_queue() -> Iterator[int]:
    """Yield the port of a socket whose listen queue is full, so the next client gets no response."""
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for client in waiting:
            client.close()


@pytest.mark.usefixtures('silent')
def test_full_listen_queue_is_waited_for_once(tracer: Tracer) -> None:
    with full_listen_queue() as port:
        counters = RateLimitStore(f'redis://127.0.0.1:{port}/0')
        counted = [traced(tracer, counters, 'ana') for _ in range(3)]
        counters._is_down = False  # ends the thread that watches it
    assert [times for times, _ in counted] == [2, 4, 6]
    assert [(trace.requests, trace.waits) for _, trace in counted] == [(1, [LONGEST_WAIT]), (0, []), (0, [])]


@pytest.mark.usefixtures('silent')
def test_wrong_redis_password_is_an_outage(redis: RedisServer) -> None:
    redis.client.config_set('requirepass', 'another')
    counters = {'none': RateLimitStore(redis.uri), 'wrong': RateLimitStore(redis.uri.replace('//', '//:ours@'))}
    try:
        for store in counters.values():
            assert [store.increment('ana', 60).hits for _ in range(3)] == [2, 4, 6]
        redis.client.config_set('requirepass', 'ours')
        redis.client.auth('ours')
        assert wait_until(lambda: is_shared(counters['wrong'], redis))
    finally:
        redis.client.config_set('requirepass', '')
    assert wait_until(lambda: is_shared(counters['none'], redis))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects the levels of log records."""
    levels: list[str] = []
    for level in ('error', 'warning', 'info'):
        monkeypatch.setattr(
            logging.getLogger('api.http.rate_limit.store'), level, lambda *_, level=level: levels.append(level)
        )
    return levels


def test_outage_is_logged_once(
    redis: RedisServer, outage: Outage, noted: list[str], tracer: Tracer, pauses: list[float]
) -> None:
    goes_away, comes_back = outage
    counters = RateLimitStore(redis.uri)
    counters.increment('ana', 60)
    traces: list[Trace] = []
    before = set(threading.enumerate())
    goes_away(redis)
    try:
        counters.increment('ana', 60)

        def was_tried_twice() -> bool:
            traces.append(traced(tracer, counters, 'ana')[1])
            return len(pauses) >= 3

        assert wait_until(was_tried_twice)
    finally:
        comes_back(redis)
    assert not any(trace.requests or trace.waits for trace in traces)
    assert wait_until(lambda: is_shared(counters, redis))
    assert wait_until(lambda: set(threading.enumerate()) <= before)
    assert noted == ['error', 'warning']


@pytest.mark.parametrize('uri', ['redis://h:abc/0', 'redis://h:99999/0', 'redis://:secret@/0'])
def test_invalid_redis_url_fails_at_start(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv('ENVIRONMENT', 'development')
    monkeypatch.setenv('RATELIMIT_STORAGE_URI', uri)
    with pytest.raises(ConfigError, match=r'^RATELIMIT_STORAGE_URI: '):
        read_settings()
