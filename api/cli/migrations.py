"""`flask db`: database migrations with Alembic."""

import fcntl
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import URL, Connection, NullPool, create_engine, event, inspect, make_url, text

from api.cli.structure import differences
from api.db.engine import begin_immediate

MIGRATIONS = Path(__file__).parents[2] / 'migrations'
MIGRATION_LOCK = 5_717_904_208

db_commands = AppGroup('db', help='Database migrations.')


@db_commands.command()
@click.argument('revision', default='head')
def upgrade(revision: str) -> None:
    """Upgrade to a revision (default: the newest). Several processes may run this at once."""
    with migrating() as config:
        command.upgrade(config, revision)


@db_commands.command(context_settings={'ignore_unknown_options': True})  # -2 is a revision
@click.argument('revision', default='-1')
def downgrade(revision: str) -> None:
    """Downgrade to a revision (default: the previous one)."""
    with migrating() as config:
        command.downgrade(config, revision)


@db_commands.command()
@click.option('-m', '--message', required=True, help='A short description of the migration.')
def migrate(message: str) -> None:
    """Generate a migration that brings the database to the state of the models. Review it before you use it."""
    with migrating() as config:
        command.revision(config, message, autogenerate=True)


@db_commands.command()
def current() -> None:
    """Show the current revision of the database."""
    with migrating() as config:
        command.current(config)


@db_commands.command()
def check() -> None:
    """Fail if the database is not at the newest revision or differs from the models."""
    with migrating() as config:
        connection = config.attributes['connection']
        require_head(connection, 'the database')
        if lines := differences(connection):
            raise click.ClickException('\n'.join(['the database differs from the models:', *lines]))


def require_head(connection: Connection, database: str) -> None:
    """Raise ClickException if the database is not at the newest revision. database: its name in the message."""
    revision = MigrationContext.configure(connection).get_current_revision()
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if revision != head:
        raise click.ClickException(f'{database} is at revision {revision}, the newest is {head}')


def upgrade_empty(url: str) -> None:
    """Migrate a database without tables. Raise ClickException if another one is not at the newest revision."""
    with migrating(url) as config:
        connection = config.attributes['connection']
        with connection.begin():
            is_empty = not inspect(connection).get_table_names()
        if is_empty:
            command.upgrade(config, 'head')
        require_head(connection, 'the target')


@contextmanager
def migrating(url: str | None = None) -> Iterator[Config]:
    """Yield Alembic's configuration with a connection, while a lock keeps other processes from migrating the database.

    url: the database, by default the application's. Errors of Alembic become a ClickException.
    """
    with connection_to(make_url(url or current_app.config['SQLALCHEMY_DATABASE_URI'])) as connection:
        config = Config(stdout=sys.stdout, attributes={'connection': connection})
        config.set_main_option('script_location', str(MIGRATIONS))
        config.set_main_option('file_template', '%%(year)d%%(month).2d%%(day).2d_%%(hour).2d%%(minute).2d_%%(slug)s')
        config.set_main_option('timezone', 'UTC')
        try:
            yield config
        except CommandError as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def connection_to(url: URL) -> Iterator[Connection]:
    if url.get_backend_name() == 'sqlite':
        with lock_file(Path(url.database or '')), sqlite_connection(url) as connection:
            yield connection
    else:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            connection.execute(text('SELECT pg_advisory_lock(:key)'), {'key': MIGRATION_LOCK})
            connection.commit()
            yield connection


@contextmanager
def sqlite_connection(url: URL) -> Iterator[Connection]:
    # Foreign keys stay off: Alembic changes a table by copying, dropping and renaming it. The drop must not cascade.
    engine = create_engine(url, poolclass=NullPool, connect_args={'isolation_level': None, 'timeout': 60})
    event.listen(engine, 'begin', begin_immediate)
    with engine.connect() as connection, warnings.catch_warnings():
        # SQLAlchemy cannot reflect the expression indexes of users, which are not needed to copy other tables.
        warnings.filterwarnings('ignore', 'Skipped unsupported reflection of expression-based index')
        yield connection
        orphans = connection.exec_driver_sql('PRAGMA foreign_key_check').all()
        if orphans:
            raise click.ClickException(f'rows that reference missing rows: {orphans[:10]}')


@contextmanager
def lock_file(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(database.name + '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
