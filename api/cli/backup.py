"""`flask backup` and `flask restore`: the whole database as one file, written while it is in use.

SQLite's is a database itself, PostgreSQL's an archive of pg_dump. Either is of one moment.
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
@click.option('--overwrite', is_flag=True, help='Put it in the place of a file that is there.')
@with_appcontext
def backup_command(file: Path, overwrite: bool) -> None:
    """Write the whole database into a file. Others may go on writing meanwhile."""
    if file.exists() and not overwrite:
        raise click.ClickException(f'{file} is there already; --overwrite replaces it')
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
    """Read a backup into an empty database. One from before the last migrations is upgraded afterwards."""
    url = db.engine.url
    with report_errors():
        if tables := inspect(db.engine).get_table_names():
            raise click.ClickException(f'the database is not empty, there are {", ".join(tables)}')
        db.engine.dispose()
        if url.get_backend_name() == 'sqlite':
            copy_sqlite(file, Path(url.database or ''))
        else:
            run_tool('pg_restore', '--single-transaction', '--exit-on-error', str(file))
    click.echo(f'{file} is restored')


@contextmanager
def atomic_file(file: Path, overwrite: bool) -> Iterator[Path]:
    """Another name for a file until it is whole, and on disk. Its owner alone may read it."""
    descriptor, name = mkstemp(prefix=f'{file.name}.', suffix='.part', dir=file.parent)
    try:
        yield Path(name)
        os.fsync(descriptor)
        if overwrite:
            os.replace(name, file)
        else:
            os.link(name, file)  # which fails where somebody was quicker
        fsync_directory(file.parent)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


def fsync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_sqlite(source: Path, target: Path) -> None:
    """In one step, which sees one moment and keeps nobody from writing; nothing of what is damaged."""
    uri = f'file:{quote(str(source))}?mode=ro'
    with (
        closing(sqlite3.connect(uri, uri=True)) as source_connection,
        closing(sqlite3.connect(target)) as target_connection,
    ):
        (problem,) = source_connection.execute('PRAGMA quick_check(1)').fetchone()
        if problem != 'ok':
            raise click.ClickException(f'{source} is damaged: {one_line(problem)}')
        source_connection.backup(target_connection)
        target_connection.execute('PRAGMA journal_mode = DELETE')  # a file alone, until the application opens it


def run_tool(program: str, *arguments: str) -> None:
    """Runs a tool of PostgreSQL's. Its command line is seen by everybody on the machine, its environment is not."""
    _, connection = db.engine.dialect.create_connect_args(db.engine.url)
    connection.pop('context', None)  # which is psycopg's, the rest is libpq's
    password = connection.pop('password', None)
    environment = os.environ | ({'PGPASSWORD': password} if password else {})
    options = ('--no-password', '--no-owner', '--no-privileges', f'--dbname={make_conninfo(**connection)}')
    try:
        process = subprocess.run([program, *options, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise click.ClickException(f"{program} is not here: install PostgreSQL's client") from error
    if process.returncode:
        raise click.ClickException(one_line(process.stderr) or f'{program} was ended by {process.returncode}')
