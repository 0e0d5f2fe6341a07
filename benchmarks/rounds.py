"""Run the cases on one database: verify that all responses are equal, then measure the contenders alternately."""

import json
import re
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import make_url

from api.app import create_app
from api.db.session import db
from benchmarks.cases import Case, cases, clean, prepare
from benchmarks.contenders import CONTENDERS, MICROBLOG, Contender, Runner, running
from benchmarks.measure import cpu_of
from benchmarks.peers.cursors import SECRET_KEY
from benchmarks.profiles import LAYERS, PROFILED_SECONDS
from config import Settings

WARM_UP = 30
BATCH_SECONDS = 0.15
VOLATILE_FIELD_PATTERNS = (r'"id":(\d+)', r'"created_at":"([^"]+)"')

Spent = dict[str, list[tuple[float, float]]]


class Options(NamedTuple):
    pairs: int
    keys: list[str] | None
    profile: bool


def measure(url: str, options: Options, folder: Path) -> list[dict[str, Any]]:
    """Return a result for each case."""
    with (
        prepared(url, options.keys, folder) as (asked, responses, database),
        running(CONTENDERS, url, responses) as runners,
    ):
        return [run_alternately(case, runners, database, url, options) for case in asked]


@contextmanager
def prepared(url: str, keys: list[str] | None, folder: Path) -> Iterator[tuple[list[Case], Path, str]]:
    """Yield the cases, the file of our responses and the kind of database, which is cleaned afterwards."""
    app = create_app(Settings(database_url=url, secret_key=SECRET_KEY, log_level='ERROR'))
    with app.app_context():
        asked = cases()
        author = asked[-1].viewer
        clean(author)
        prepare({case.viewer for case in asked})
        dispose_engine()
    asked = [case for case in asked if keys is None or case.key in keys]
    responses = folder / f'answers_{Path(make_url(url).database or "").stem}.json'
    try:
        remember(url, asked, responses)
        yield asked, responses, make_url(url).get_backend_name()
    finally:
        with app.app_context():
            clean(author)
            dispose_engine()


def dispose_engine() -> None:
    """Close the connections, which would otherwise be counted as the contender's."""
    db.session.remove()
    db.engine.dispose()


def remember(url: str, asked: list[Case], file: Path) -> None:
    """Record the responses of the application for the contender that serves prebuilt responses."""
    with running([MICROBLOG], url, file) as (runner,):
        reads = [case for case in asked if case.method == 'GET']
        bodies = {case.asked: runner.tell('ask', request=case.request)['body'] for case in reads}
    file.write_text(json.dumps(bodies))


def run_alternately(case: Case, runners: list[Runner], database: str, url: str, options: Options) -> dict[str, Any]:
    runners = [runner for runner in runners if runner.contender.takes(case, database)]
    check_same(case, runners)
    batches = [Batch(case, runner, url) for runner in runners]
    spent: Spent = {batch.key: [] for batch in batches}
    for _ in range(options.pairs):
        for batch in batches:
            spent[batch.key].append(batch.run())
    result = {'key': case.key, 'name': case.name, 'request': f'{case.method} {case.path}', 'contenders': summed(spent)}
    if options.profile:
        told = {'request': case.request, 'layers': LAYERS, 'seconds': PROFILED_SECONDS}
        result['layers'] = runners[0].tell('profile', **told)
    show(result)
    return result


def check_same(case: Case, runners: list[Runner]) -> None:
    """Verify that all responses have the same bytes, except for a final line break and ids and times of new rows."""
    responses = [(runner.contender, runner.tell('ask', request=case.request)) for runner in runners]
    (_, expected), *others = responses
    for contender, response in others:
        for member in ('status', 'type'):
            assert response[member] == expected[member], (case.name, contender.name, response)
        assert comparable(case, response) == comparable(case, expected), (case.name, contender.name, response, expected)


def comparable(case: Case, response: dict[str, Any]) -> str:
    body = str(response['body']).removesuffix('\n')
    if case.method == 'POST':
        for pattern in VOLATILE_FIELD_PATTERNS:
            value = re.search(pattern, body)
            assert value, body
            body = body.replace(value[1], '...')
    return body


class Batch:
    """A batch of requests to one contender, large enough to be measured."""

    def __init__(self, case: Case, runner: Runner, url: str):
        self.key, self.request, self.runner = runner.contender.key, case.request, runner
        runner.tell('run', request=self.request, times=WARM_UP)
        self.url = url
        self.times = 20
        process, backend = self.run()
        self.times = max(10, int(BATCH_SECONDS / (process + backend)))

    def run(self) -> tuple[float, float]:
        """Return the CPU seconds per request of the process and of its PostgreSQL processes."""
        before = backends(self.url, self.runner.contender)
        process = self.runner.tell('run', request=self.request, times=self.times)
        backend = spent_since(before, backends(self.url, self.runner.contender))
        return process / self.times, backend / self.times


def backends(url: str, contender: Contender) -> dict[int, float]:
    """Return the PostgreSQL processes that serve a contender and their CPU seconds; empty for SQLite."""
    if make_url(url).get_backend_name() == 'sqlite':
        return {}
    query = 'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s'
    with psycopg.connect(url.replace('+psycopg', '')) as connection:
        return {pid: cpu_of([pid]) for (pid,) in connection.execute(query, [contender.application_name])}


def spent_since(before: dict[int, float], after: dict[int, float]) -> float:
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def summed(spent: Spent) -> dict[str, Any]:
    """Return microseconds per request of each contender, and the ratio to the application, pair by pair."""
    ours = [sum(both) for both in spent[MICROBLOG.key]]
    found = {}
    for key, figures in spent.items():
        totals = [sum(both) for both in figures]
        ratios = [other / own for other, own in zip(totals, ours, strict=True)]
        found[key] = {
            'microseconds': median(totals),
            'process': median([process for process, _ in figures]),
            'backend': median([backend for _, backend in figures]),
            'ratio': [round(measure(ratios), 3) for measure in (min, statistics.median, max)],
        }
    return found


def median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


def show(result: dict[str, Any]) -> None:
    """Print a progress line."""
    figures = (f'{key} {found["microseconds"]:.0f}' for key, found in result['contenders'].items())
    print(f'    {result["name"]}: ' + ', '.join(figures) + ' µs', flush=True)
