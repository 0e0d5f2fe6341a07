"""Turns: as many as there are, in the order in which they are asked for, and not waited for without end."""

import time
from threading import Thread
from typing import Any

import pytest

from api.edge import turns
from api.edge.turns import Turns


def application(*args: Any) -> list[bytes]:
    return []


def test_who_comes_first_is_served_first() -> None:
    single = Turns(application, 1, 0)
    assert single.take()
    served: list[int] = []
    threads = [Thread(target=lambda number=number: single.take() and served.append(number)) for number in range(5)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while len(single.waiting) < number:
            time.sleep(0.001)
    for number, thread in enumerate(threads, start=1):
        assert len(served) == number - 1
        single.give()
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_who_gives_up_takes_nobodys_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, 'SECONDS_TO_WAIT_FOR_A_TURN', 0.01)
    single = Turns(application, 1, 0)
    assert [single.take(), single.take()] == [True, False]
    single.give()
    assert [single.take(), single.take()] == [True, False]


def test_a_turn_that_is_given_at_the_last_moment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    single = Turns(application, 1, 0)
    assert single.take()

    class Late:
        def acquire(self, timeout: float | None = None) -> bool:
            if timeout:
                single.give()
            return not timeout

        def release(self) -> None:
            pass

    monkeypatch.setattr(turns, 'Lock', Late)
    assert single.take()
    assert (single.free, len(single.waiting)) == (0, 0)


def test_a_view_that_raises_gives_its_turn_back() -> None:
    def broken(*args: Any) -> list[bytes]:
        raise RuntimeError

    single = Turns(broken, 1, 0)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            single({'PATH_INFO': '/'}, application)  # type: ignore[arg-type]
