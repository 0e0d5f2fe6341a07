"""Processes and their children (Linux)."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

STOP_TIMEOUT = 35


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the process ids of the children, none if the process has ended."""
    try:
        return [int(pid) for pid in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]
    except FileNotFoundError:
        return []


def send_signal(pids: list[int], sign: signal.Signals) -> None:
    """Send a signal to each process that still runs."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)


def stop(process: subprocess.Popen[bytes], children: list[int]) -> None:
    """Terminate a process, or kill it and its children if it does not stop within STOP_TIMEOUT seconds."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        send_signal([process.pid, *children], signal.SIGKILL)
        process.wait()
