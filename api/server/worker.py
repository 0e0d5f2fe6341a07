"""The background worker: `python -m api.server.worker`. Any number of workers may run.

On SIGTERM or SIGINT it finishes the current job. If it is killed, no job is lost: see `api.actions.jobs`.
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

POLL_INTERVAL = 1  # seconds
RETRY_INTERVAL = 5  # seconds
PURGE_INTERVAL = 600  # seconds


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
    """Run jobs until none is due. Return the seconds to wait before the next call."""
    try:
        if purge_due:
            purge()
        while not stop.is_set():
            if not run_next_job():
                mailer.close()
                return POLL_INTERVAL
    except SQLAlchemyError as error:
        log.error('the database does not respond: %s', error)
        return RETRY_INTERVAL
    return 0


if __name__ == '__main__':
    main()
