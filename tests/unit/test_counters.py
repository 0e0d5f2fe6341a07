"""What happens how often is counted by all processes together, and by each alone while Redis is away."""

import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis, RedisError

from api.counters import Counters
from config import ConfigError, read_settings
from tests import databases, processes
from tests.servers import free_port
from tests.sockets import Trace, Tracer

LONGEST_WAIT = 0.25
SECONDS_UNTIL_RETRY = 1
SECONDS_TO_RETURN = 30
AT_ONCE = 8


class OwnRedis:
    """A Redis of the test's own: started, killed, frozen and so on."""

    def __init__(self, folder: Any):
        self.folder = folder
        self.port = free_port()
        self.uri = f'redis://127.0.0.1:{self.port}/0'
        self.client = Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        options = {'port': self.port, 'bind': '127.0.0.1', 'save': '', 'daemonize': 'no', 'dir': self.folder}
        words = [word for name, value in options.items() for word in (f'--{name}', str(value))]
        self.process = processes.start(['redis-server', *words], stdout=subprocess.DEVNULL)
        assert until(self.answers), 'Redis does not start'

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        processes.kill(self.process)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def run_out_of_memory(self) -> None:
        self.client.config_set('maxmemory', 1)

    def have_memory(self) -> None:
        self.client.config_set('maxmemory', 0)

    def become_a_replica(self) -> None:
        self.client.config_set('replica-serve-stale-data', 'yes')
        self.client.replicaof('127.0.0.1', '1')

    def become_the_master(self) -> None:
        self.client.replicaof('no', 'one')

    def all_keys(self) -> list[str]:
        return list(self.client.scan_iter())


@contextmanager
def own_redis(folder: Any) -> Iterator[OwnRedis]:
    if shutil.which('redis-server') is None:
        databases.skip_unless_required('redis', 'there is no redis-server')
    redis = OwnRedis(folder)
    try:
        yield redis
    finally:
        redis.kill()
        redis.client.close()


def until(true: Callable[[], bool], seconds: float = SECONDS_TO_RETURN) -> bool:
    """Whether it becomes true within that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope='module')
def running_redis(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    with own_redis(tmp_path_factory.mktemp('redis')) as redis:
        yield redis


@pytest.fixture
def redis(running_redis: OwnRedis) -> OwnRedis:
    running_redis.client.flushall()
    return running_redis


@pytest.fixture(params=['memory', pytest.param('redis', marks=pytest.mark.process)])
def counters(request: pytest.FixtureRequest) -> Counters:
    return Counters('memory://' if request.param == 'memory' else request.getfixturevalue('redis').uri)


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    return Tracer(monkeypatch)


def traced(tracer: Tracer, counters: Counters, key: str) -> tuple[int, Trace]:
    """What is counted, and what Redis was asked for it."""
    with tracer.trace() as trace:
        return counters.count(key, 60).times, trace


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that threads wanted to pause before they tried Redis again; they pause for a moment only.

    Afterwards all of these threads have ended.
    """
    before = set(threading.enumerate())
    seconds: list[float] = []

    def pause(duration: float) -> None:
        seconds.append(duration)
        time.sleep(0.02)

    monkeypatch.setattr('api.counters.sleep', pause)
    yield seconds
    assert set(seconds) <= {SECONDS_UNTIL_RETRY}
    assert until(lambda: set(threading.enumerate()) <= before)


def is_shared(counters: Counters, redis: OwnRedis) -> bool:
    """Whether they are counting in Redis now."""
    key = f'probe-{time.monotonic_ns()}'
    counters.count(key, 60)
    return any(key in there for there in redis.all_keys())


class MemoryClock:
    """The clock of what is counted in memory, which stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.seconds = 1_000.0
        monkeypatch.setattr('api.counters.monotonic', self.now)

    def now(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds


class RedisClock:
    """The clock of a Redis: it is moved by making all windows shorter."""

    def __init__(self, redis: OwnRedis):
        self.client = redis.client

    def now(self) -> float:
        seconds, microseconds = self.client.time()
        return seconds + microseconds / 1e6

    def move(self, seconds: float) -> None:
        for key in self.client.scan_iter():
            self.client.pexpire(key, self.client.pttl(key) - round(seconds * 1000))


@pytest.fixture
def clock(request: pytest.FixtureRequest, counters: Counters) -> MemoryClock | RedisClock:
    """The clock that `counters` go by."""
    if counters._shared is None:
        return MemoryClock(request.getfixturevalue('monkeypatch'))
    return RedisClock(request.getfixturevalue('redis'))


def test_each_key_is_counted_from_one_and_its_window_ends_when_it_says(
    counters: Counters, clock: MemoryClock | RedisClock
) -> None:
    began = clock.now()
    counted = [counters.count(key, 60) for key in ('ana', 'ana', 'ben', 'ana')]
    assert [count.times for count in counted] == [1, 2, 1, 3]
    clock.move(10)
    later = counters.count('ana', 60).seconds
    passed = clock.now() - began
    for count in counted:
        assert 60 - passed - 0.001 <= count.seconds <= 60
    assert 50 - passed - 0.001 <= later <= 50


def test_a_window_ends_and_the_next_begins_with_one(counters: Counters, clock: MemoryClock | RedisClock) -> None:
    counted = [counters.count('ana', 60) for _ in range(3)]
    assert [count.times for count in counted] == [1, 2, 3]
    assert 0 < counted[-1].seconds <= 60
    clock.move(60)
    assert [counters.count('ana', 60).times for _ in range(2)] == [1, 2]


def test_a_window_is_not_made_longer_by_what_happens_within(redis: OwnRedis) -> None:
    counters = Counters(redis.uri)
    counters.count('ana', 60)
    redis.client.expire(redis.all_keys()[0], 20)
    assert counters.count('ana', 60).seconds <= 20


def test_processes_count_together_in_redis(redis: OwnRedis) -> None:
    one, other = Counters(redis.uri), Counters(redis.uri)
    assert [each.count('ana', 60).times for each in (one, other, one, other)] == [1, 2, 3, 4]


def test_of_many_at_the_same_moment_each_is_counted_once(counters: Counters) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number in range(200 if counters._shared is None else 20):
                barrier = threading.Barrier(AT_ONCE)

                def count_twice(_: int, key: str = str(number), barrier: threading.Barrier = barrier) -> list[int]:
                    barrier.wait()
                    return [counters.count(key, 60).times for _ in range(2)]

                counted = sorted(times for each in pool.map(count_twice, range(AT_ONCE)) for times in each)
                assert counted == list(range(1, 2 * AT_ONCE + 1))
    finally:
        sys.setswitchinterval(interval)


def test_memory_is_given_back_when_windows_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, clock = Counters('memory://'), MemoryClock(monkeypatch)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5_000):
            counters.count(f'guest{number}', 60)
        used = tracemalloc.get_traced_memory()[0] - before
        clock.move(3600)
        counters.count('ana', 60)
        assert tracemalloc.get_traced_memory()[0] - before < used / 2
    finally:
        tracemalloc.stop()


def test_many_keys_in_memory_do_not_make_counting_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are iterated over at most once in 50 seconds, and never by a thread."""
    counters, clock, threads = Counters('memory://'), MemoryClock(monkeypatch), threading.active_count()

    def cost() -> float:
        """The CPU time of the cheapest of five times ten seconds."""
        return min(cost_of_ten_seconds() for _ in range(5))

    def cost_of_ten_seconds() -> float:
        began = time.thread_time()
        for _ in range(200):
            counters.count('ana', 600)
            clock.move(0.05)
        return time.thread_time() - began

    few = cost()
    for number in range(30_000):
        counters.count(f'guest{number}', 600)
    assert cost() < 3 * few
    assert threading.active_count() == threads


OUTAGES = {
    'killed': (OwnRedis.kill, OwnRedis.start),
    'frozen': (OwnRedis.freeze, OwnRedis.thaw),
    'out of memory': (OwnRedis.run_out_of_memory, OwnRedis.have_memory),
    'read-only': (OwnRedis.become_a_replica, OwnRedis.become_the_master),
}
Outage = tuple[Callable[[OwnRedis], None], Callable[[OwnRedis], None]]


@pytest.fixture(params=OUTAGES)
def outage(request: pytest.FixtureRequest) -> Outage:
    return OUTAGES[request.param]


@pytest.fixture
def silent() -> Iterator[None]:
    logging.getLogger('api').setLevel('CRITICAL')
    yield
    logging.getLogger('api').setLevel('ERROR')


@pytest.mark.usefixtures('silent')
def test_while_redis_is_away_each_process_counts_twice_and_waits_once(
    redis: OwnRedis, outage: Outage, tracer: Tracer
) -> None:
    goes_away, comes_back = outage
    one, other = Counters(redis.uri), Counters(redis.uri)
    assert [each.count('ana', 60).times for each in (one, other)] == [1, 2]
    goes_away(redis)
    try:
        for each in (one, other):
            counted = [traced(tracer, each, 'ben') for _ in range(20)]
            assert [times for times, _ in counted] == list(range(2, 42, 2))
            (_, first), *others = counted
            assert first.requests
            assert sum(first.waits) <= LONGEST_WAIT
            assert not any(trace.requests or trace.waits for _, trace in others)
    finally:
        comes_back(redis)
    assert until(lambda: is_shared(one, redis) and is_shared(other, redis))
    assert [each.count('cleo', 60).times for each in (one, other, one)] == [1, 2, 3]


@pytest.mark.usefixtures('silent')
def test_who_is_under_way_when_redis_freezes_waits_once(redis: OwnRedis, tracer: Tracer) -> None:
    counters = Counters(redis.uri)
    counters.count('ana', 60)
    redis.freeze()
    try:
        barrier = threading.Barrier(AT_ONCE)

        def count(_: int) -> Trace:
            barrier.wait()
            return traced(tracer, counters, 'ana')[1]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            traces = list(pool.map(count, range(AT_ONCE)))
            assert any(trace.waits for trace in traces)
            assert max(sum(trace.waits) for trace in traces) <= LONGEST_WAIT
            assert not any(trace.requests or trace.waits for trace in pool.map(count, range(AT_ONCE)))
    finally:
        redis.thaw()
    assert until(lambda: is_shared(counters, redis))


@pytest.mark.usefixtures('silent')
@pytest.mark.parametrize('away', ['killed', 'frozen'])
def test_redis_may_be_away_when_the_process_starts(redis: OwnRedis, away: str, tracer: Tracer) -> None:
    goes_away, comes_back = OUTAGES[away]
    goes_away(redis)
    try:
        counters = Counters(redis.uri)
        (times, first), (times_later, second) = (traced(tracer, counters, 'ana') for _ in range(2))
        assert (times, times_later) == (2, 4)
        assert first.requests
        assert sum(first.waits) <= LONGEST_WAIT
        assert (second.requests, second.waits) == (0, [])
    finally:
        comes_back(redis)
    assert until(lambda: is_shared(counters, redis))


@contextmanager
def taking_no_connections() -> Iterator[int]:
    """The port of a socket whose queue is full: the next client hears nothing."""
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
def test_a_redis_that_takes_no_connections_is_waited_for_once(tracer: Tracer) -> None:
    with taking_no_connections() as port:
        counters = Counters(f'redis://127.0.0.1:{port}/0')
        counted = [traced(tracer, counters, 'ana') for _ in range(3)]
        counters._away = False  # ends the thread that watches it
    assert [times for times, _ in counted] == [2, 4, 6]
    assert [(trace.requests, trace.waits) for _, trace in counted] == [(1, [LONGEST_WAIT]), (0, []), (0, [])]


@pytest.mark.usefixtures('silent')
def test_a_redis_that_does_not_know_our_password_is_away_until_it_does(redis: OwnRedis) -> None:
    redis.client.config_set('requirepass', 'another')
    counters = {'none': Counters(redis.uri), 'wrong': Counters(redis.uri.replace('//', '//:ours@'))}
    try:
        for each in counters.values():
            assert [each.count('ana', 60).times for _ in range(3)] == [2, 4, 6]
        redis.client.config_set('requirepass', 'ours')
        redis.client.auth('ours')
        assert until(lambda: is_shared(counters['wrong'], redis))
    finally:
        redis.client.config_set('requirepass', '')
    assert until(lambda: is_shared(counters['none'], redis))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The levels of what is logged."""
    levels: list[str] = []
    for level in ('error', 'warning', 'info'):
        monkeypatch.setattr(logging.getLogger('api.counters'), level, lambda *_, level=level: levels.append(level))
    return levels


def test_an_outage_is_logged_once_and_nobody_waits_until_it_ends(
    redis: OwnRedis, outage: Outage, noted: list[str], tracer: Tracer, pauses: list[float]
) -> None:
    goes_away, comes_back = outage
    counters = Counters(redis.uri)
    counters.count('ana', 60)
    traces: list[Trace] = []
    before = set(threading.enumerate())
    goes_away(redis)
    try:
        counters.count('ana', 60)

        def was_tried_twice() -> bool:
            traces.append(traced(tracer, counters, 'ana')[1])
            return len(pauses) >= 3

        assert until(was_tried_twice)
    finally:
        comes_back(redis)
    assert not any(trace.requests or trace.waits for trace in traces)
    assert until(lambda: is_shared(counters, redis))
    assert until(lambda: set(threading.enumerate()) <= before)
    assert noted == ['error', 'warning']


@pytest.mark.parametrize('uri', ['redis://h:abc/0', 'redis://h:99999/0', 'redis://:secret@/0'])
def test_an_address_that_cannot_be_of_a_redis_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv('ENVIRONMENT', 'development')
    monkeypatch.setenv('RATELIMIT_STORAGE_URI', uri)
    with pytest.raises(ConfigError, match=r'^RATELIMIT_STORAGE_URI: '):
        read_settings()
