"""Does what requests leave behind in the outbox: `python -m api.worker`. Any number of them may run.

Told to stop, it finishes what it is at. Killed, it loses nothing: see `api.actions.outbox`.
"""

import math
import signal
import sys
import threading
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.deliveries import deliver_next, log, tidy
from api.extensions import mailer
from config import ConfigError

SECONDS_BETWEEN_LOOKS = 1
SECONDS_AFTER_FAILURE = 5
SECONDS_BETWEEN_TIDYINGS = 600


def main() -> None:
    try:
        app = create_app()
    except ConfigError as error:
        sys.exit(str(error))
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *args: stop.set())
    tidied_at = -math.inf
    while not stop.is_set():
        is_untidy = monotonic() - tidied_at >= SECONDS_BETWEEN_TIDYINGS
        tidied_at = monotonic() if is_untidy else tidied_at
        with app.app_context():
            pause = work(stop, is_untidy)
        stop.wait(pause)
    mailer.close()


def work(stop: threading.Event, is_untidy: bool) -> int:
    """Works until nothing is due, and returns for how many seconds to wait then."""
    try:
        if is_untidy:
            tidy()
        while not stop.is_set():
            if not deliver_next():
                mailer.close()
                return SECONDS_BETWEEN_LOOKS
    except SQLAlchemyError as error:
        log.error('the database does not answer: %s', error)
        return SECONDS_AFTER_FAILURE
    return 0


if __name__ == '__main__':
    main()
