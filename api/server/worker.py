"""Does what requests leave behind in the outbox: `python -m api.server.worker`. Any number of them may run.

Told to stop, it finishes what it is at. Killed, it loses nothing: see `api.actions.jobs`.
"""

import math
import signal
import sys
import threading
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.jobs.handlers import log, purge, run_next_job
from api.jobs.mailer import mailer
from config import ConfigError

POLL_INTERVAL = 1
RETRY_INTERVAL = 5
PURGE_INTERVAL = 600


def main() -> None:
    try:
        app = create_app()
    except ConfigError as error:
        sys.exit(str(error))
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *args: stop.set())
    purged_at = -math.inf
    while not stop.is_set():
        purge_due = monotonic() - purged_at >= PURGE_INTERVAL
        purged_at = monotonic() if purge_due else purged_at
        with app.app_context():
            delay = run_due_jobs(stop, purge_due)
        stop.wait(delay)
    mailer.close()


def run_due_jobs(stop: threading.Event, purge_due: bool) -> int:
    """Works until nothing is due, and returns for how many seconds to wait then."""
    try:
        if purge_due:
            purge()
        while not stop.is_set():
            if not run_next_job():
                mailer.close()
                return POLL_INTERVAL
    except SQLAlchemyError as error:
        log.error('the database does not answer: %s', error)
        return RETRY_INTERVAL
    return 0


if __name__ == '__main__':
    main()
