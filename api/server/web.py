"""The web server: `python -m api.server.web`.

The settings are checked first: if there are errors, the process prints one line for each and exits. Otherwise it
becomes the server. docs/decisions/0002-web-server.md explains the choice of granian and of these options.
"""

import os
import sys

from api.server.wsgi import STOP_TIMEOUT
from config import ConfigError, Settings, read_settings

# Threads that wait for slow clients. The concurrency limiter lets only `web_threads` threads run views.
EXTRA_THREADS = 64


def granian_command(settings: Settings) -> list[str]:
    """Return the command line of granian."""
    options = {
        '--interface': 'wsgi',
        '--http': '1',
        '--host': settings.host,
        '--port': settings.port,
        '--workers': settings.web_workers,
        '--blocking-threads': settings.web_threads + EXTRA_THREADS,
        # Longer than a worker takes to start, even on a busy machine: during a reload the old one serves until then.
        '--respawn-interval': 12,
        '--workers-kill-timeout': STOP_TIMEOUT if settings.production else 3,
        # granian warns about the number of threads. It logs real problems as errors.
        '--log-level': 'error',
    }
    arguments = [str(argument) for option in options.items() for argument in option]
    return [
        sys.executable,
        '-m',
        'granian',
        *arguments,
        '--respawn-failed-workers',
        '--factory',
        'api.server.wsgi:load_app',
    ]


def main() -> None:
    try:
        settings = read_settings()
    except ConfigError as error:
        sys.exit(str(error))
    print(f'The API is at http://{settings.host}:{settings.port}/api, ', end='', file=sys.stderr)
    print(f'its documentation at http://{settings.host}:{settings.port}/docs', file=sys.stderr, flush=True)
    arguments = granian_command(settings)
    os.execv(arguments[0], arguments)


if __name__ == '__main__':
    main()
