"""Fixtures for all tests. A test that uses the database runs on SQLite and on PostgreSQL."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import event, insert, update

from api.actions.tokens import issue_token
from api.actions.users import touch_last_seen
from api.app import create_app
from api.clock import utcnow
from api.db import statement
from api.db.session import db
from api.models import TableCount, User
from api.security.passwords import passwords
from config import Settings
from support import databases
from support.databases import restore, rows_of
from support.servers import Server, start_server
from tests.support.client import PASSWORD, Client, issued_tokens
from tests.support.document import Document
from tests.support.rows import log_in
from tests.support.survivors import no_process_survives  # noqa: F401
from tests.support.world import Operation, World, build_world, read_operations

pytest_plugins = ['tests.support.marks']


open_transactions: list[str] = []


def hash_cheaply() -> None:
    """Hash passwords at the lowest cost, because few tests are about hashing. Servers in other processes do not."""
    passwords.set_cost(passes=1, memory_kib=8)


@pytest.fixture(scope='session', params=['sqlite', 'postgresql'])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from databases.create_database(request.param, tmp_path_factory.mktemp('database'), 'test')


@pytest.fixture(scope='session')
def spare_postgresql() -> Iterator[str]:
    yield from databases.postgresql(f'microblog_spare_{os.getpid()}')


@pytest.fixture
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that returns the URL of a database without tables: `empty_database('sqlite')`."""

    def make(kind: str) -> str:
        if kind == 'sqlite':
            return f'sqlite:///{tmp_path}/spare.sqlite'
        url: str = request.getfixturevalue('spare_postgresql')
        databases.drop_schema(url)
        return url

    return make


@pytest.fixture(scope='session')
def settings(database_url: str) -> Settings:
    # The tests have at most this many concurrent writers. With fewer threads they would wait for connections.
    return Settings(database_url=database_url, log_level='ERROR', web_threads=8)


@pytest.fixture(scope='session', autouse=True)
def hash_passwords_cheaply() -> None:
    hash_cheaply()


@pytest.fixture(scope='session')
def migrated_app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    with app.app_context():
        event.listen(db.engine, 'checkin', record_open_transaction)
    databases.migrate(app)
    Client.document = Document(app)
    app.test_client_class = Client
    yield app
    with app.app_context():
        db.engine.dispose()


def record_open_transaction(connection: Any, record: object) -> None:
    """Record the stack of a connection that returns to the pool with an open transaction, which nothing would end."""
    if connection is None:
        return
    status = connection.info.transaction_status if hasattr(connection, 'pgconn') else connection.in_transaction
    if status:
        open_transactions.append(''.join(traceback.format_stack(limit=25)))


@pytest.fixture
def app(migrated_app: Flask) -> Iterator[Flask]:
    """Yield the application with an empty database. Fail if a token that was issued is stored there in clear text."""
    yield migrated_app
    rows = databases.rows_of(migrated_app)
    found = databases.as_text(rows)
    assert not open_transactions
    assert not [token for token in issued_tokens if token in found]
    issued_tokens.clear()
    databases.delete_all_rows(migrated_app, rows)


@pytest.fixture
def anonymous(app: Flask) -> Client:
    """Return a client without credentials."""
    client = app.test_client()
    assert isinstance(client, Client)
    return client


@pytest.fixture
def make_user(anonymous: Client) -> Callable[..., dict[str, Any]]:
    """Return a function that registers a user and returns their representation: `make_user('ana')`."""

    def register(username: str, **others: Any) -> dict[str, Any]:
        registration = {'username': username, 'email': f'{username}@example.com', 'password': PASSWORD} | others
        response = anonymous.post('/api/users', json=registration)
        assert response.status_code == 201, response.text
        return response.json

    return register


@pytest.fixture(scope='session')
def password_hash() -> str:
    """Return the hash of PASSWORD."""
    return passwords.hash(PASSWORD)


@pytest.fixture
def login(app: Flask, password_hash: str) -> Callable[[str], Client]:
    """Return a function that adds a user with PASSWORD and returns a client with their token: `login('ana')`."""

    def log_in(username: str) -> Client:
        client = app.test_client()
        assert isinstance(client, Client)
        with app.app_context():
            user = {'username': username, 'email': f'{username}@example.com', 'password_hash': password_hash}
            client.id = db.session.scalars(insert(User).values(**user, created_at=utcnow()).returning(User.id)).one()
            db.session.execute(
                update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count + 1)
            )
            client.token = issue_token(actor=client.id).token
            touch_last_seen(client.id, None)
            db.session.commit()
        issued_tokens.add(client.token)
        return client

    return log_in


@pytest.fixture
def count_queries(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Return a context manager that collects the statements of its block, except transaction control.

    `with count_queries() as statements:`
    """

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def record(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if not statement.startswith(('BEGIN', 'SAVEPOINT', 'RELEASE', 'ROLLBACK', 'COMMIT')):
                statements.append(statement)

        run = statement.execute

        def execute(source: statement.ReadSource, text: str, values: Any) -> Any:
            statements.append(text)
            return run(source, text, values)

        with app.app_context():
            engine = db.engine
        event.listen(engine, 'before_cursor_execute', record)
        with monkeypatch.context() as patch:
            patch.setattr('api.db.statement.execute', execute)
            yield statements
        event.remove(engine, 'before_cursor_execute', record)

    return counting


@pytest.fixture(scope='session')
def running_server(starts_processes: None, migrated_app: Flask, settings: Settings) -> Iterator[Server]:
    with start_server(settings.database_url) as server:
        yield server


@pytest.fixture
def server(app: Flask, running_server: Server) -> Server:
    """Return a server in its own process, on the database of `app`."""
    return running_server


@pytest.fixture(scope='session')
def operations(migrated_app: Flask) -> dict[str, Operation]:
    return read_operations(migrated_app)


TEMPLATE_LIFETIME = 300  # seconds; the mail tokens of a world expire after ten minutes


class WorldTemplate(NamedTuple):
    """A world, its rows and the time at which it was built."""

    world: World
    rows: dict[str, list[tuple[Any, ...]]]
    built_at: float


@pytest.fixture(scope='session')
def templates(migrated_app: Flask) -> dict[str, WorldTemplate]:
    """Return the cache of `make_world`: empty until the first world is built."""
    return {}


@pytest.fixture
def make_world(app: Flask, password_hash: str, templates: dict[str, WorldTemplate]) -> Callable[[], World]:
    """Return a function that builds a world. In an empty database it restores a template, which takes less time."""

    def make() -> World:
        if not is_empty(app):
            return build_world(app, password_hash)
        template = templates.get('world')
        if template and monotonic() < template.built_at + TEMPLATE_LIFETIME:
            restore(app, template.rows)
            return template.world
        built_at, world = monotonic(), build_world(app, password_hash)
        templates['world'] = WorldTemplate(world, rows_of(app), built_at)
        return world

    return make


def is_empty(app: Flask) -> bool:
    return not any(rows for table, rows in rows_of(app).items() if table != 'table_counts')


@pytest.fixture
def ana(app: Flask) -> Client:
    """Return the client of a new user named ana."""
    return log_in(app, 'ana')


@pytest.fixture
def bea(app: Flask) -> Client:
    """Return the client of a new user named bea."""
    return log_in(app, 'bea')
