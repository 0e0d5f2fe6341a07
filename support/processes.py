"""Processes and their children, as Linux shows them."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

STOP_TIMEOUT = 35


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
    try:
        return [int(pid) for pid in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]
    except FileNotFoundError:  # it has ended
        return []


def send_signal(pids: list[int], sign: signal.Signals) -> None:
    """Sends a signal to those that still run."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sign)


def stop(process: subprocess.Popen[bytes], children: list[int]) -> None:
    """Politely at first."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        send_signal([process.pid, *children], signal.SIGKILL)
        process.wait()
