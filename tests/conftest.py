"""Fixtures. A test that uses the database runs on SQLite and on PostgreSQL."""

import base64
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert, update
from werkzeug.test import TestResponse

from api.actions.tokens import issue_token
from api.actions.users import note_seen
from api.app import create_app
from api.clock import utcnow
from api.extensions import db, passwords
from api.models import Total, User
from api.queries import statement
from config import Settings
from tests import databases
from tests.document import Document
from tests.servers import Server, serving
from tests.survivors import no_process_survives  # noqa: F401

pytest_plugins = ['tests.marks']

PASSWORD = 'correct horse battery'
issued_tokens: set[str] = set()
open_transactions: list[str] = []


class Client(FlaskClient):
    """A client that checks every answer against the document, and sends its token if it has one."""

    document: Document
    token: str | None = None
    id: int

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.token:
            kwargs['headers'] = {'Authorization': f'Bearer {self.token}'} | dict(kwargs.get('headers') or {})
        answer = super().open(*args, **kwargs)
        self.document.check(answer.request.method, answer.request.path, answer)
        if answer.status_code < 300 and answer.is_json and answer.data and 'token' in (answer.json or {}):
            issued_tokens.add(answer.json['token'])
        return answer

    def ask_for_token(self, username: str, password: str = PASSWORD) -> TestResponse:
        return self.post('/api/tokens', headers=basic(username, password))


def hash_cheaply() -> None:
    """Hash passwords at the lowest cost, because few tests are about hashing. Servers in other processes do not."""
    passwords.set_cost(passes=1, memory_kib=8)


def basic(username: str, password: str) -> dict[str, str]:
    credentials = base64.b64encode(f'{username}:{password}'.encode()).decode()
    return {'Authorization': f'Basic {credentials}'}


@pytest.fixture(scope='session', params=['sqlite', 'postgresql'])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from databases.of_kind(request.param, tmp_path_factory.mktemp('database'), 'test')


@pytest.fixture(scope='session')
def settings(database_url: str) -> Settings:
    # As many threads as the tests have writers at a time, who wait for connections otherwise.
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
    """Record where a connection goes back to the pool in a transaction, which nothing would end."""
    if connection is None:
        return
    status = connection.info.transaction_status if hasattr(connection, 'pgconn') else connection.in_transaction
    if status:
        open_transactions.append(''.join(traceback.format_stack(limit=25)))


@pytest.fixture
def app(migrated_app: Flask) -> Iterator[Flask]:
    """The application on a database without rows. Afterwards no token that was issued may be found there."""
    yield migrated_app
    rows = databases.rows_of(migrated_app)
    found = databases.as_text(rows)
    assert not open_transactions
    assert not [token for token in issued_tokens if token in found]
    issued_tokens.clear()
    databases.empty(migrated_app, rows)


@pytest.fixture
def anonymous(app: Flask) -> Client:
    """A client without credentials."""
    client = app.test_client()
    assert isinstance(client, Client)
    return client


@pytest.fixture
def make_user(anonymous: Client) -> Callable[..., dict[str, Any]]:
    """Registers a user, `make_user('ana')`, and returns their entry."""

    def register(username: str, **others: Any) -> dict[str, Any]:
        registration = {'username': username, 'email': f'{username}@example.com', 'password': PASSWORD} | others
        answer = anonymous.post('/api/users', json=registration)
        assert answer.status_code == 201, answer.text
        return answer.json

    return register


@pytest.fixture(scope='session')
def password_hash() -> str:
    """Return the hash of PASSWORD."""
    return passwords.hash(PASSWORD)


@pytest.fixture
def login(app: Flask, password_hash: str) -> Callable[[str], Client]:
    """Makes a user and returns a client with their token: `login('ana')`. Their password is PASSWORD."""

    def log_in(username: str) -> Client:
        client = app.test_client()
        assert isinstance(client, Client)
        with app.app_context():
            user = {'username': username, 'email': f'{username}@example.com', 'password_hash': password_hash}
            client.id = db.session.scalars(insert(User).values(**user, created_at=utcnow()).returning(User.id)).one()
            db.session.execute(update(Total).where(Total.name == 'users').values(value=Total.value + 1))
            client.token = issue_token(actor=client.id).token
            note_seen(client.id, None)
            db.session.commit()
        issued_tokens.add(client.token)
        return client

    return log_in


@pytest.fixture
def count_queries(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """`with count_queries() as statements:` collects what is sent to the database, transaction control aside."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if not statement.startswith(('BEGIN', 'SAVEPOINT', 'RELEASE', 'ROLLBACK', 'COMMIT')):
                statements.append(statement)

        run = statement.execute

        def execute(source: statement.Source, text: str, values: Any) -> Any:
            statements.append(text)
            return run(source, text, values)

        with app.app_context():
            engine = db.engine
        event.listen(engine, 'before_cursor_execute', note)
        with monkeypatch.context() as patch:
            patch.setattr('api.queries.statement.execute', execute)
            yield statements
        event.remove(engine, 'before_cursor_execute', note)

    return counting


@pytest.fixture(scope='session')
def running_server(starts_processes: None, migrated_app: Flask, settings: Settings) -> Iterator[Server]:
    with serving(settings.database_url) as server:
        yield server


@pytest.fixture
def server(app: Flask, running_server: Server) -> Server:
    """A real server, in a process of its own, on the database of `app`."""
    return running_server
