"""Helpers of the benchmarks: WSGI calls in this process, and CPU time of it and of PostgreSQL."""

import base64
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import text
from werkzeug.test import EnvironBuilder

from api.actions.tokens import issue_token
from api.db.session import db


def basic(username: str, password: str) -> dict[str, str]:
    return {'Authorization': 'Basic ' + base64.b64encode(f'{username}:{password}'.encode()).decode()}


def bearer(app: Flask, username: str, password: str) -> dict[str, str]:
    response = app.test_client().post('/api/tokens', headers=basic(username, password))
    assert response.status_code == 200, response.text
    return {'Authorization': f'Bearer {response.json["token"]}'}


def bearer_of(app: Flask, id: int) -> dict[str, str]:
    """Issue a token without a password."""
    with app.app_context():
        issued = issue_token(actor=id)
        db.session.commit()
    return {'Authorization': f'Bearer {issued.token}'}


def caller(app: Flask, path: str, headers: dict[str, str], method: str = 'GET') -> Callable[[], bytes]:
    """Return a function that makes the request and returns the body."""
    environ = EnvironBuilder(path=path, method=method, headers=headers).get_environ()

    def call() -> bytes:
        response: Any = app(dict(environ), lambda status, headers, exc_info=None: None)
        try:
            return b''.join(response)
        finally:
            if hasattr(response, 'close'):
                response.close()

    return call


def backends(app: Flask) -> list[int]:
    """Return the ids of the PostgreSQL processes that serve this process; empty for SQLite."""
    with app.app_context():
        if db.engine.dialect.name == 'sqlite':
            return []
        ours = "datname = current_database() AND application_name = 'microblog'"
        return list(db.session.scalars(text(f'SELECT pid FROM pg_stat_activity WHERE {ours}')))


def cpu(pids: list[int]) -> float:
    """Return the CPU seconds of this process and the given ones."""
    return time.process_time() + cpu_of(pids)


def cpu_of(pids: list[int]) -> float:
    """Return the CPU seconds of single-threaded processes."""
    return sum(int(Path(f'/proc/{pid}/schedstat').read_text().split()[0]) for pid in pids) / 1e9


def compare(app: Flask, calls: dict[str, Callable[[], bytes]], rounds: int, batch: int) -> dict[str, list[float]]:
    """Return the CPU seconds per request of each call in each round, measured alternately."""
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
    """Return the ratio one / other by round: the median and the range."""
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'
