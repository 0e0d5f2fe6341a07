"""Upgrade databases, each from several processes at once.

`python -m tests.support.upgrades N` reads a database URL per line and prints a line of JSON for each: exit code and
output of each of N processes. They are forked from this one, which has no threads or connections and has imported the
application once.
"""

import json
import multiprocessing
import sys
from typing import Any

from api.app import create_app
from config import Settings

SECONDS_TO_START = 20


def upgrade(cli: Any, barrier: Any, results: Any) -> None:
    barrier.wait(SECONDS_TO_START)
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
    # A process that ended without a result is not waited for.
    return [results.get() if process.exitcode == 0 else (process.exitcode, '') for process in processes]


for line in sys.stdin:
    print(json.dumps(upgrade_at_once(line.strip(), int(sys.argv[1]))), flush=True)
