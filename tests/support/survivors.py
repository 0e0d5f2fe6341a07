"""Check that no process started by a test survives the test session."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

SESSION_VARIABLE = 'MICROBLOG_TEST_SESSION'
SURVIVOR_TIMEOUT = 30  # seconds


def find_survivors(session: str) -> dict[int, str]:
    """Return the command lines of all processes that inherited the session's variable, by process id."""
    variable = f'{SESSION_VARIABLE}={session}'.encode()
    found = {}
    for folder in Path('/proc').glob('[0-9]*'):
        # A process may end meanwhile, or belong to another user.
        with suppress(OSError):
            if variable in (folder / 'environ').read_bytes().split(b'\0'):
                words = (folder / 'cmdline').read_bytes().decode(errors='replace')
                found[int(folder.name)] = words.replace('\0', ' ').strip()
    return found


@pytest.fixture(scope='session', autouse=True)
def no_process_survives() -> Iterator[None]:
    """Fail if a process that a test started still runs when the session ends, and kill it.

    Every process that a test starts inherits a variable that identifies this session, or this worker of pytest-xdist.
    Without /proc nothing is checked.
    """
    if not Path('/proc/self/environ').exists():
        yield
        return
    session = os.environ[SESSION_VARIABLE] = uuid4().hex
    yield
    del os.environ[SESSION_VARIABLE]
    deadline = time.monotonic() + SURVIVOR_TIMEOUT  # children of a stopped process may take a moment to end
    while (survivors := find_survivors(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in survivors:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not survivors, f'processes that tests started survive: {survivors}'
