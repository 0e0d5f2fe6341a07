"""The application factory for web processes. It imports little, so that a signal can stop a starting process soon."""

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
    """Return the application, for the web processes of granian.

    They inherit the signal handlers of granian, which do nothing in them. Without the default handler, a process that
    is stopped while it starts would have to be killed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if parent := parent_process():
        Thread(target=stop_without_parent, args=(parent.pid,), daemon=True).start()
    return import_module('main').app


def stop_without_parent(parent: int | None) -> None:
    """Wait until the process with the id `parent` has ended, then stop this one; SIGALRM ends it if it does not stop.

    A granian process that is killed cannot stop its web processes. They would continue to serve and share the port with
    the next server. If a process ends, its children get another parent, on Linux and macOS. This also works for web
    processes that granian has restarted. A pipe would be kept open by forked sibling processes, and
    prctl(PR_SET_PDEATHSIG) exists only on Linux.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    signal.alarm(STOP_TIMEOUT)
    os.kill(os.getpid(), signal.SIGTERM)
