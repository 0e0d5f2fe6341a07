"""What the benchmarks share: the application in this process, called through WSGI; CPU time of it and PostgreSQL."""

import base64
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from sqlalchemy import text
from werkzeug.test import EnvironBuilder

from api.extensions import db

TICK = os.sysconf('SC_CLK_TCK')


def basic(username: str, password: str) -> dict[str, str]:
    return {'Authorization': 'Basic ' + base64.b64encode(f'{username}:{password}'.encode()).decode()}


def bearer(app: Flask, username: str, password: str) -> dict[str, str]:
    answer = app.test_client().post('/api/tokens', headers=basic(username, password))
    assert answer.status_code == 200, answer.text
    return {'Authorization': f'Bearer {answer.json["token"]}'}


def caller(app: Flask, path: str, headers: dict[str, str], method: str = 'GET') -> Callable[[], bytes]:
    """A function that makes the request and returns the body."""
    environ = EnvironBuilder(path=path, method=method, headers=headers).get_environ()

    def call() -> bytes:
        answer = app(dict(environ), lambda status, headers, exc_info=None: None)
        try:
            return b''.join(answer)
        finally:
            answer.close()

    return call


def backends(app: Flask) -> list[int]:
    """The process ids of PostgreSQL's processes that serve this process; none on SQLite."""
    with app.app_context():
        if db.engine.dialect.name == 'sqlite':
            return []
        return list(db.session.scalars(text("SELECT pid FROM pg_stat_activity WHERE application_name = 'microblog'")))


def cpu(pids: list[int]) -> float:
    """Seconds of CPU that this process and those have used."""
    spent = time.process_time()
    for pid in pids:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        spent += (int(fields[11]) + int(fields[12])) / TICK
    return spent


def compare(app: Flask, calls: dict[str, Callable[[], bytes]], rounds: int, batch: int) -> dict[str, list[float]]:
    """CPU seconds per request of each call in each round, in turn."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(20):
            call()
    pids = backends(app)
    for _ in range(rounds):
        for name, call in calls.items():
            began = cpu(pids)
            for _ in range(batch):
                call()
            spent[name].append((cpu(pids) - began) / batch)
    return spent


def ratio(one: list[float], other: list[float]) -> str:
    """one / other, round by round: the median, and between what it lay."""
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'
