"""Measure the cost of ten times the data: `python -m benchmarks.data_growth [sqlite|postgresql]`.

Runs the cases of `make bench` alternately on two databases: with 20,000 users, and with ten times all data. The figure
is the ratio of CPU per request, of the process and of PostgreSQL: large to small, batch by batch.
"""

import sys
from contextlib import ExitStack

from benchmarks import data
from benchmarks.cases import Case
from benchmarks.contenders import MICROBLOG, running
from benchmarks.measure import ratio
from benchmarks.rounds import Batch, prepared

SCALES = (1, 10)
PAIRS = 15


def main(databases: list[str]) -> None:
    data.FOLDER.mkdir(parents=True, exist_ok=True)
    for database in databases or ['postgresql', 'sqlite']:
        with ExitStack() as stack:
            sides = [side(stack, data.database_url(database, scale)) for scale in SCALES]
            for key in sides[0]:
                once, ten_times = (batches[key] for batches in sides)
                pairs = [(sum(ten_times.run()), sum(once.run())) for _ in range(PAIRS)]
                print(f'{database:12}{key:18}{ratio([a for a, _ in pairs], [b for _, b in pairs])}', flush=True)


def side(stack: ExitStack, url: str) -> dict[str, Batch]:
    """Start a process that serves a database, and return its cases as batches by key."""
    cases: list[Case]
    cases, responses, _ = stack.enter_context(prepared(url, None, data.FOLDER))
    (runner,) = stack.enter_context(running([MICROBLOG], url, responses))
    return {case.key: Batch(case, runner, url) for case in cases}


if __name__ == '__main__':
    main(sys.argv[1:])
