"""`flask backup` and `flask restore`: a consistent snapshot of the database in one file, taken while it is in use.

The file is an SQLite database, or a pg_dump archive for PostgreSQL.
"""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import quote

import click
from flask.cli import with_appcontext
from psycopg.conninfo import make_conninfo
from sqlalchemy import inspect

from api.cli.errors import one_line, report_errors
from api.db.session import db


@click.command('backup')
@click.argument('file', type=click.Path(dir_okay=False, path_type=Path))
@click.option('--overwrite', is_flag=True, help='Replace the file if it exists.')
@with_appcontext
def backup_command(file: Path, overwrite: bool) -> None:
    """Write the whole database to a file. The database can be written to meanwhile."""
    if file.exists() and not overwrite:
        raise click.ClickException(f'{file} already exists; use --overwrite to replace it')
    url = db.engine.url
    with report_errors(), atomic_file(file, overwrite) as temporary:
        if url.get_backend_name() == 'sqlite':
            copy_sqlite(Path(url.database or ''), temporary)
        else:
            run_tool('pg_dump', '--format=custom', f'--file={temporary}')
    click.echo(f'{file}: {file.stat().st_size} bytes')


@click.command('restore')
@click.argument('file', type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_appcontext
def restore_command(file: Path) -> None:
    """Restore a backup into an empty database. If the backup is older than the code, run `db upgrade` afterwards."""
    url = db.engine.url
    with report_errors():
        if tables := inspect(db.engine).get_table_names():
            raise click.ClickException(f'the database is not empty, it has the tables {", ".join(tables)}')
        db.engine.dispose()
        if url.get_backend_name() == 'sqlite':
            copy_sqlite(file, Path(url.database or ''))
        else:
            run_tool('pg_restore', '--single-transaction', '--exit-on-error', str(file))
    click.echo(f'{file} restored')


@contextmanager
def atomic_file(file: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path, readable by its owner only, and rename it to `file` once its content is on disk.

    Raise FileExistsError if the file exists by then and may not be overwritten.
    """
    descriptor, name = mkstemp(prefix=f'{file.name}.', suffix='.part', dir=file.parent)
    try:
        yield Path(name)
        os.fsync(descriptor)
        if overwrite:
            os.replace(name, file)
        else:
            os.link(name, file)  # fails if another process created the file meanwhile
        fsync_directory(file.parent)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


def fsync_directory(folder: Path) -> None:
    """Flush the entries of a directory to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a consistent snapshot of an SQLite database in one step, without blocking writers.

    Raise ClickException if the source is damaged.
    """
    uri = f'file:{quote(str(source))}?mode=ro'
    with (
        closing(sqlite3.connect(uri, uri=True)) as source_connection,
        closing(sqlite3.connect(target)) as target_connection,
    ):
        (problem,) = source_connection.execute('PRAGMA quick_check(1)').fetchone()
        if problem != 'ok':
            raise click.ClickException(f'{source} is damaged: {one_line(problem)}')
        source_connection.backup(target_connection)
        target_connection.execute('PRAGMA journal_mode = DELETE')  # leaves one file, without a WAL beside it


def run_tool(program: str, *arguments: str) -> None:
    """Run a PostgreSQL client tool on the database. Raise ClickException if it fails or is not installed.

    The password goes into the environment, because all users of the machine can see the command line.
    """
    _, connection = db.engine.dialect.create_connect_args(db.engine.url)
    connection.pop('context', None)  # an option of psycopg; all others are libpq's
    password = connection.pop('password', None)
    environment = os.environ | ({'PGPASSWORD': password} if password else {})
    options = ('--no-password', '--no-owner', '--no-privileges', f'--dbname={make_conninfo(**connection)}')
    try:
        process = subprocess.run([program, *options, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise click.ClickException(f'{program} not found: install the PostgreSQL client') from error
    if process.returncode:
        raise click.ClickException(one_line(process.stderr) or f'{program} failed with exit code {process.returncode}')
