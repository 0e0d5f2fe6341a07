"""Measure the cost of cold code after a wait: `python -m benchmarks.cold_code`, on the database of the settings.

A Flask view that returns a constant is called repeatedly, first alone and then with a query before each call. Prints
CPU microseconds per request of the process, without the query itself. The difference is due to CPU caches that went
cold while the process waited for PostgreSQL (with SQLite it does not wait).
"""

import statistics
import time
from collections.abc import Callable

from flask import Flask, Response

from api.app import create_app
from api.db.session import db
from benchmarks.measure import caller

ROUNDS, BATCH = 31, 500


def main() -> None:
    constant = Flask(__name__, static_folder=None)
    constant.get('/')(lambda: Response(b'x' * 500, mimetype='application/json'))
    response = caller(constant, '/', {})
    with create_app().app_context(), db.engine.connect() as connection:
        cursor = connection.connection.cursor()
        query = 'SELECT username FROM users WHERE id = 1'

        def ask() -> None:
            cursor.execute(query)
            cursor.fetchall()

        def both() -> None:
            ask()
            response()

        alone, queries, together = zip(*((cpu(response), cpu(ask), cpu(both)) for _ in range(ROUNDS)))
    behind = [both - query for both, query in zip(together, queries)]
    print(f'repeatedly {statistics.median(alone):.0f} µs, after a query {statistics.median(behind):.0f} µs')


def cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(BATCH):
        call()
    return (time.process_time() - began) / BATCH * 1e6


if __name__ == '__main__':
    main()
