"""Starts the web server: `python -m api.server`.

The settings are checked first, so that mistakes end it at once, a line each; then this process becomes the server.
docs/decisions/0002-web-server.md says why it is granian, and why with these options.
"""

import os
import sys

from api.process import STOP_TIMEOUT
from config import ConfigError, Settings, read_settings

# Those that wait for bodies to come and for answers to be taken; `api.edge.turns` lets web_threads of all work.
THREADS_FOR_SLOW_CLIENTS = 64


def command(settings: Settings) -> list[str]:
    """granian's command line."""
    options = {
        '--interface': 'wsgi',
        '--http': '1',
        '--host': settings.host,
        '--port': settings.port,
        '--workers': settings.web_workers,
        '--blocking-threads': settings.web_threads + THREADS_FOR_SLOW_CLIENTS,
        # Longer than a worker takes to start, on a busy machine, too: at a reload the old one serves until then.
        '--respawn-interval': 12,
        '--workers-kill-timeout': STOP_TIMEOUT if settings.production else 3,
        # It warns of so many threads; what is wrong it calls an error.
        '--log-level': 'error',
    }
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, '-m', 'granian', *words, '--respawn-failed-workers', '--factory', 'api.process:application']


def main() -> None:
    try:
        settings = read_settings()
    except ConfigError as error:
        sys.exit(str(error))
    print(f'The API is at http://{settings.host}:{settings.port}/api, ', end='', file=sys.stderr)
    print(f'its documentation at http://{settings.host}:{settings.port}/docs', file=sys.stderr, flush=True)
    words = command(settings)
    os.execv(words[0], words)


if __name__ == '__main__':
    main()
