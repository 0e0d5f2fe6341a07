"""The concurrency limiter grants a fixed number of slots, first come first served, with a timeout."""

import time
from threading import Thread
from typing import Any

import pytest

from api.http import concurrency_limiter
from api.http.concurrency_limiter import ConcurrencyLimiter


def application(*args: Any) -> list[bytes]:
    return []


def test_first_come_first_served() -> None:
    single = ConcurrencyLimiter(application, 1, 0)
    assert single.acquire()
    served: list[int] = []
    threads = [Thread(target=lambda number=number: single.acquire() and served.append(number)) for number in range(5)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while len(single.waiting) < number:
            time.sleep(0.001)
    for number, thread in enumerate(threads, start=1):
        assert len(served) == number - 1
        single.release()
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_timeout_does_not_take_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency_limiter, 'ACQUIRE_TIMEOUT', 0.01)
    single = ConcurrencyLimiter(application, 1, 0)
    assert [single.acquire(), single.acquire()] == [True, False]
    single.release()
    assert [single.acquire(), single.acquire()] == [True, False]


def test_slot_released_at_the_last_moment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    single = ConcurrencyLimiter(application, 1, 0)
    assert single.acquire()

    class Late:
        def acquire(self, timeout: float | None = None) -> bool:
            if timeout:
                single.release()
            return not timeout

        def release(self) -> None:
            pass

    monkeypatch.setattr(concurrency_limiter, 'Lock', Late)
    assert single.acquire()
    assert (single.available, len(single.waiting)) == (0, 0)


def test_raising_view_releases_its_slot() -> None:
    def broken(*args: Any) -> list[bytes]:
        raise RuntimeError

    single = ConcurrencyLimiter(broken, 1, 0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            single({'PATH_INFO': '/'}, application)  # type: ignore[arg-type]
