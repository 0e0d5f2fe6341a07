"""Upgrade databases, each from several processes at once.

`python -m tests.support.upgrades N` reads one database URL per line and prints one line of JSON for each: the exit code
and output of each of N processes. They are forked from this process, which has no threads or connections and imports
the application once.
"""

import json
import multiprocessing
import sys
from typing import Any

from api.app import create_app
from config import Settings

START_TIMEOUT = 120  # seconds


def upgrade(cli: Any, barrier: Any, results: Any) -> None:
    barrier.wait(START_TIMEOUT)
    result = cli.invoke(args=['db', 'upgrade'])
    results.put((result.exit_code, f'{result.output}{result.exception or ""}'))


def upgrade_at_once(url: str, count: int) -> list[tuple[int, str]]:
    cli = create_app(Settings(database_url=url, log_level='ERROR')).test_cli_runner()
    context = multiprocessing.get_context('fork')
    barrier, results = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=upgrade, args=(cli, barrier, results)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    # Do not wait for the result of a process that failed: it never sends one.
    return [results.get() if process.exitcode == 0 else (process.exitcode, '') for process in processes]


for line in sys.stdin:
    print(json.dumps(upgrade_at_once(line.strip(), int(sys.argv[1]))), flush=True)
