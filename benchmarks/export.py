"""Measure the export of a large account: `python -m benchmarks.export`.

On temporary SQLite and PostgreSQL databases, an account with 500,000 posts is exported from a real server by a client
that reads as fast as possible, and by one that pauses after every 64 KB. Prints lines, seconds, and the peak memory of
the serving process above its idle memory.
"""

import argparse
import http.client
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from sqlalchemy import insert, update

from api.app import create_app
from api.cli.seed import POST_COLUMNS, finish_load, load
from api.clock import utcnow
from api.db.session import db
from api.models import Post, TableCount, User
from benchmarks.measure import bearer_of
from config import Settings
from support import databases
from support.servers import Server, start_server

CHUNK = 64 * 1024
TEXT = 'What a lovely day it is, said no one in particular to all who would hear it, and went on to the next. '
MAX_MEGABYTES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--posts', type=int, default=500_000)
    parser.add_argument('--pause', type=float, default=0.02, help='seconds of the slow client after each 64 KB')
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        for urls in (databases.sqlite(Path(folder), 'export'), databases.postgresql(f'microblog_export_{os.getpid()}')):
            with closing(urls):
                measure(next(urls), options.posts, options.pause)


def measure(url: str, posts: int, pause: float) -> None:
    databases.upgrade(url)
    app = create_app(Settings(database_url=url))
    large, small = (bearer_of(app, add_account(app, number)) for number in (posts, 1_000))
    with app.app_context():
        database = db.engine.dialect.name
        db.engine.dispose()
    with start_server(url) as server:
        worker = worker_of(server)
        for _ in range(5):
            fetch(server, small, 0)
        for client, seconds_to_pause in (('quick', 0.0), ('slow', pause)):
            with peak_memory(worker) as megabytes:
                began = time.perf_counter()
                lines, size = fetch(server, large, seconds_to_pause)
                seconds = time.perf_counter() - began
            assert lines == posts + 1
            grown = max(0, megabytes['peak'] - megabytes['idle'])
            print(f'{database:10} {client:5} {lines} lines, {size / 1e6:.0f} MB in {seconds:.1f} s, ', end='')
            verdict = '' if grown < MAX_MEGABYTES else ', too much'
            print(f'{grown:.1f} MB above {megabytes["idle"]:.1f} MB{verdict}', flush=True)


def add_account(app: Flask, posts: int) -> int:
    """Create a user with that many posts and return the id."""
    user = {'username': f'user{posts}', 'email': f'user{posts}@example.com', 'password_hash': ''}
    with app.app_context(), db.engine.begin() as connection:
        id = connection.scalar(insert(User).values(**user, created_at=utcnow(), post_count=posts).returning(User.id))
        connection.execute(
            update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count + 1)
        )
        first = id * 10_000_000
        now = utcnow()
        rows = ((first + n, id, None, f'{TEXT}{n}', now, 0, 0) for n in range(posts))
        with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):
            load(connection, Post, POST_COLUMNS, rows, posts)
        finish_load(connection)
    return int(id)


def fetch(server: Server, headers: dict[str, str], pause: float) -> tuple[int, int]:
    """Return the number of lines and bytes of an export."""
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
    lines = size = 0
    with closing(connection):
        connection.request('GET', '/api/me/export', headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        while chunk := response.read(CHUNK):
            lines += chunk.count(b'\n')
            size += len(chunk)
            time.sleep(pause)
    return lines, size


def worker_of(server: Server) -> int:
    """Return the id of the serving process: the child of granian that has loaded the application."""
    main = server.process.pid
    children = Path(f'/proc/{main}/task/{main}/children').read_text().split()
    return max((int(pid) for pid in children), key=lambda pid: megabytes_of(pid, 'VmRSS'))


def megabytes_of(pid: int, what: str) -> float:
    """Return a memory figure of a process: VmRSS is the current size, VmHWM the peak."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{what}:'))


@contextmanager
def peak_memory(pid: int) -> Iterator[dict[str, Any]]:
    """Record the memory in MB: `idle` before the block, `peak` during it."""
    Path(f'/proc/{pid}/clear_refs').write_text('5')  # resets VmHWM
    megabytes = {'idle': megabytes_of(pid, 'VmRSS')}
    yield megabytes
    megabytes['peak'] = megabytes_of(pid, 'VmHWM')


if __name__ == '__main__':
    main()
