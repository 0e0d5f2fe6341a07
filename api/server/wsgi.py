"""The application factory for web processes. It imports little, so that a signal can soon end a process that starts."""

import os
import signal
import time
from importlib import import_module
from multiprocessing import parent_process
from threading import Thread
from typing import Any

PARENT_CHECK_INTERVAL = 1  # seconds
# Seconds for which clients that stall can hold up a stop, in production.
STOP_TIMEOUT = 30


def load_app() -> Any:
    """Return the application, for granian's processes.

    They inherit its handlers, which do nothing in them: told to stop while they start, they would have to be killed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if parent := parent_process():
        Thread(target=stop_without_parent, args=(parent.pid,), daemon=True).start()
    return import_module('main').app


def stop_without_parent(parent: int | None) -> None:
    """Wait until the process with the id `parent` has ended, then stop this one; SIGALRM ends it if it does not stop.

    A granian process that is killed cannot stop its web processes. They would serve on, and share the port with the
    next server. A child of a process that ended gets another parent, on Linux and macOS alike, also if it was started
    again. A pipe would be held open by sibling processes, which are forked; prctl(PR_SET_PDEATHSIG) is Linux's alone.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    signal.alarm(STOP_TIMEOUT)
    os.kill(os.getpid(), signal.SIGTERM)
