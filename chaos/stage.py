"""The environment of a fault: a new database, and real processes that use it."""

import base64
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, NullPool, create_engine, text

from api.app import create_app
from config import Settings
from support.postgresql_cluster import Cluster
from support.processes import children_of, stop
from support.servers import ROOT, Server, free_port, wait_until_ready

# Production settings for two cores, without rate limits, because the load is a few clients with many requests.
PRODUCTION = {
    'ENVIRONMENT': 'production',
    'SECRET_KEY': secrets.token_hex(32),
    'PUBLIC_URL': 'https://api.example.com',
    'MAIL_SERVER': '127.0.0.1',
    'RATELIMIT_ENABLED': '0',
    'WEB_WORKERS': '2',
    'WEB_THREADS': '4',
    'LOG_LEVEL': 'ERROR',
}


PASSWORD = 'correct horse battery'


class Stage(NamedTuple):
    """The environment of one fault. folder: its files. cluster: its PostgreSQL server, None for SQLite."""

    folder: Path
    cluster: Cluster | None

    @property
    def url(self) -> str:
        name = self.folder.name
        return self.cluster.url(name) if self.cluster else f'sqlite:///{self.data}/{name}.sqlite'

    @property
    def data(self) -> Path:
        """Return the folder of the SQLite files."""
        return self.folder / 'data'

    @property
    def log(self) -> Path:
        """Return the file with the output of all processes of this fault."""
        return self.folder / 'log'

    @property
    def postgresql(self) -> Cluster:
        assert self.cluster
        return self.cluster

    def start(self, *words: str, code: Path = ROOT, **settings: str) -> subprocess.Popen[bytes]:
        """Start `python -m ...` with production settings. code: the working directory."""
        environment = os.environ | PRODUCTION | {'DATABASE_URL': self.url} | settings
        with self.log.open('ab') as log:
            return subprocess.Popen([sys.executable, '-m', *words], cwd=code, env=environment, stdout=log, stderr=log)

    def flask(self, *words: str) -> subprocess.Popen[bytes]:
        return self.start('flask', '--app', 'main', *words, ENVIRONMENT='development')

    def migrate(self, revision: str = 'head') -> None:
        """Run `flask db upgrade` in this process, which takes a tenth of the time of a subprocess."""
        app = create_app(Settings(environment='development', database_url=self.url, log_level='ERROR'))
        upgraded = app.test_cli_runner().invoke(args=['db', 'upgrade', revision])
        assert upgraded.exit_code == 0, upgraded.output

    @contextmanager
    def serving(self, code: Path = ROOT, **settings: str) -> Iterator[Server]:
        """Run `python -m api.server.web` during the block, and yield it when it responds."""
        port = free_port()
        server = Server(port, self.start('api.server.web', code=code, PORT=str(port), **settings))
        try:
            wait_until_ready(server)
            yield server
        finally:
            stop(server.process, children_of(server.process))

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a new connection to the database."""
        with create_engine(self.url, poolclass=NullPool).connect() as connection:
            yield connection

    def execute(self, *statements: str) -> None:
        with self.connection() as connection:
            for statement in statements:
                connection.execute(text(statement))
            connection.commit()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def posts(self) -> Counter[str]:
        """Return the number of posts by text."""
        return Counter(text for (text,) in self.rows('SELECT text FROM posts'))


@contextmanager
def set_up(folder: Path, cluster: Cluster | None) -> Iterator[Stage]:
    """Yield a stage with an empty database without tables."""
    stage = Stage(folder, cluster)
    stage.data.mkdir(parents=True)
    if cluster:
        cluster.execute(f'CREATE DATABASE {folder.name}')
    try:
        yield stage
    finally:
        if cluster:
            cluster.execute(f'DROP DATABASE {folder.name} WITH (FORCE)')


def log_in(server: Server) -> str:
    """Register a new user and return a token."""
    username = f'client{secrets.token_hex(4)}'
    registration = {'username': username, 'email': f'{username}@example.com', 'password': PASSWORD}
    registered = server.ask('POST', '/api/users', registration)
    assert registered.status == 201, registered
    credentials = base64.b64encode(f'{username}:{PASSWORD}'.encode()).decode()
    token: str = server.ask('POST', '/api/tokens', Authorization=f'Basic {credentials}').json['token']
    return token
