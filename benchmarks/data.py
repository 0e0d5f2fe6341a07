"""The databases of `make bench`, created by the migrations and `flask seed` and kept until the structure changes."""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import URL, NullPool, create_engine, inspect, make_url, text

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'data' / 'bench'
SERVER = make_url(os.environ.get('TEST_POSTGRESQL_URL', 'postgresql+psycopg://postgres@127.0.0.1:5432/postgres'))
USERS, FOLLOWS, POSTS, LIKES = 20_000, 200_000, 500_000, 500_000
PREFIX = 'microblog_bench_'


def database_url(database: str, scale: int) -> str:
    """Return the URL of a database with the sample data times the scale, which is created if missing."""
    name = f'{PREFIX}{scale}'
    if database == 'sqlite':
        url, make = make_url(f'sqlite:///{FOLDER}/{name}.sqlite'), make_sqlite
    else:
        url, make = SERVER.set(database=name), make_postgresql
    with (FOLDER / f'{name}.lock').open('w') as lock:
        # Wait for another run that is creating it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole(url):
            print(f'seeding {name} on {database}', flush=True)
            make(url)
            flask(url, 'db', 'upgrade')
            counts = {'users': USERS, 'follows': FOLLOWS, 'posts': POSTS, 'likes': LIKES}
            flask(url, 'seed', *(f'--{table}={count * scale}' for table, count in counts.items()))
    return url.render_as_string(hide_password=False)


def is_whole(url: URL) -> bool:
    """Return whether it has the current structure and is seeded, which happens in one transaction."""
    if url.get_backend_name() == 'sqlite':
        if not Path(url.database or '').exists():
            return False
    elif not on_server(lambda run: run(f"SELECT 1 FROM pg_database WHERE datname = '{url.database}'")):
        return False
    head = ScriptDirectory(str(ROOT / 'migrations')).get_current_head()
    with create_engine(url, poolclass=NullPool).connect() as connection:
        if not inspect(connection).has_table('alembic_version'):
            return False
        revision = connection.scalar(text('SELECT version_num FROM alembic_version'))
        return revision == head and bool(connection.scalar(text('SELECT 1 FROM users LIMIT 1')))


def make_sqlite(url: URL) -> None:
    for file in FOLDER.glob(f'{Path(url.database or "").name}*'):
        file.unlink()


def make_postgresql(url: URL) -> None:
    on_server(lambda run: run(f'DROP DATABASE IF EXISTS {url.database} WITH (FORCE)'))
    on_server(lambda run: run(f'CREATE DATABASE {url.database}'))


def on_server(work: Callable[[Callable[[str], list[str]]], list[str]]) -> list[str]:
    with create_engine(SERVER, isolation_level='AUTOCOMMIT', poolclass=NullPool).connect() as connection:

        def run(statement: str) -> list[str]:
            result = connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []

        return work(run)


def flask(url: URL, *arguments: str) -> None:
    environment = os.environ | {'DATABASE_URL': url.render_as_string(hide_password=False), 'ENVIRONMENT': 'development'}
    subprocess.run([sys.executable, '-m', 'flask', *arguments], cwd=ROOT, env=environment, check=True)


def drop_all() -> None:
    """Drop all databases of the benchmarks."""
    for file in FOLDER.glob(f'{PREFIX}*'):
        file.unlink()
    for name in on_server(lambda run: run(f"SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'")):
        on_server(lambda run: run(f'DROP DATABASE {name} WITH (FORCE)'))


def versions() -> str:
    number = on_server(lambda run: run("SELECT current_setting('server_version')"))[0].split()[0]
    return f'SQLite {sqlite3.sqlite_version}, PostgreSQL {number}'
