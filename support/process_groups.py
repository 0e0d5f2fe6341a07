"""Child processes of tests, each in its own session, so that all of its children can be killed with it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

STOP_TIMEOUT = 60  # seconds
WAIT_TIMEOUT = 120  # seconds


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process as the leader of a session, and so of a process group, of its own."""
    return subprocess.Popen(command, start_new_session=True, **options)


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process that `start` returned, and its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop(process: subprocess.Popen[Any]) -> None:
    """Stop a process that `start` returned, then kill what is left of its process group.

    Raise subprocess.TimeoutExpired if the process itself does not stop.
    """
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    finally:
        kill(process)


def children_of(process: subprocess.Popen[Any]) -> list[int]:
    """Return the process ids of the children of a running process."""
    return [int(pid) for pid in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]


def wait_until(condition: Callable[[], Any], interval: float = 0.05) -> None:
    """Call `condition` every `interval` seconds until it returns something true. Fail after WAIT_TIMEOUT seconds."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(interval)
