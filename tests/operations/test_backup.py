"""`flask backup` writes a consistent snapshot of a database in use, and `flask restore` restores it."""

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import make_url, text

from api.app import create_app
from api.cli import backup as module
from api.db.session import db
from config import ROOT, Settings
from support import databases

SEED = ['seed', '--users', '40', '--follows', '200', '--posts', '300', '--likes', '400']


@pytest.fixture
def flask(starts_processes: None, app: Flask) -> Callable[..., Result]:
    if is_on_postgresql(app) and not shutil.which('pg_dump'):
        databases.skip_unless_required('postgresql', 'pg_dump is not installed')
    return lambda *arguments: app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])


@pytest.fixture
def restored(settings: Settings, empty_database: Callable[[str], str]) -> Iterator[Flask]:
    """An application on another database of the same kind, without tables."""
    url = empty_database(make_url(settings.database_url).get_backend_name())
    app = create_app(Settings(database_url=url, log_level='ERROR'))
    yield app
    with app.app_context():
        db.engine.dispose()


def succeed(response: Result) -> str:
    assert response.exit_code == 0, (response.output, response.exception)
    return response.output


def expect_error(response: Result, message: str) -> None:
    assert (response.exit_code, response.output.count('\n')) == (1, 1), response.output
    assert response.output.startswith(f'Error: {message}'), response.output


def restore(app: Flask, file: Path) -> Result:
    return app.test_cli_runner().invoke(args=['restore', str(file)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_backup_and_restore_round_trip(app, flask, restored, tmp_path):
    succeed(flask(*SEED))
    file = tmp_path / 'a backup?'
    assert succeed(flask('backup', file)) == f'{file}: {file.stat().st_size} bytes\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path) == ['a backup?']
    assert succeed(restore(restored, file)) == f'{file} restored\n'
    assert databases.dump_rows(restored) == databases.dump_rows(app)
    succeed(restored.test_cli_runner().invoke(args=['db', 'check']))
    expect_error(restore(restored, file), 'the database is not empty, it has the tables ')


def test_backup_during_writes_is_consistent(app, flask, restored, tmp_path, login):
    """The backup contains every write acknowledged before it began, and its rows are consistent."""
    succeed(flask(*SEED, '--posts', '20000'))
    clients = [login(name) for name in ('writer1', 'writer2', 'writer3')]
    written: list[int] = []
    stop = threading.Event()

    def write(client: Any) -> None:
        while not stop.is_set():
            response = client.post('/api/posts', json={'text': 'Hello!', 'reply_to_id': 7})
            assert response.status_code == 201
            written.append(response.json['id'])
            assert client.put(f'/api/posts/{response.json["id"]}/like').status_code == 204

    writers = [threading.Thread(target=write, args=(client,)) for client in clients]
    for writer in writers:
        writer.start()
    while len(written) < 20:
        time.sleep(0.01)
    acknowledged = list(written)
    output = succeed(flask('backup', tmp_path / 'backup'))
    stop.set()
    for writer in writers:
        writer.join()
    assert len(written) > len(acknowledged), output

    succeed(restore(restored, tmp_path / 'backup'))
    assert restored.test_cli_runner().invoke(args=['counters', 'repair']).output == 'all counters are correct\n'
    with restored.app_context():
        found = set(db.session.execute(text('SELECT id FROM posts')).scalars())
        if db.engine.dialect.name == 'sqlite':
            assert db.session.execute(text('PRAGMA integrity_check')).scalars().all() == ['ok']
            assert db.session.execute(text('PRAGMA foreign_key_check')).all() == []
    assert found >= set(acknowledged)


def test_existing_file_is_not_overwritten(flask, tmp_path):
    file = tmp_path / 'backup'
    file.write_text('precious')
    expect_error(flask('backup', file), f'{file} already exists; use --overwrite to replace it')
    assert file.read_text() == 'precious'
    succeed(flask('backup', '--overwrite', file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path) == ['backup']
    assert file.read_bytes()[:5] in (b'SQLit', b'PGDMP')


def test_concurrently_created_file_is_kept(flask, tmp_path, monkeypatch):
    file = tmp_path / 'backup'
    monkeypatch.setattr(module.os, 'fsync', lambda descriptor: file.write_text('precious'))
    expect_error(flask('backup', file), '[Errno 17] File exists')
    assert file.read_text() == 'precious'
    assert names(tmp_path) == ['backup']


def test_missing_folder_is_reported(flask, tmp_path):
    expect_error(flask('backup', tmp_path / 'nowhere' / 'backup'), '[Errno 2] No such file or directory')


@pytest.mark.process
def test_invalid_backup_is_rejected(restored, tmp_path):
    (tmp_path / 'letter').write_text('Dear all, ' * 1000)
    expected = 'pg_restore: error: input file' if is_on_postgresql(restored) else 'file is not a database'
    expect_error(restore(restored, tmp_path / 'letter'), expected)
    assert restore(restored, tmp_path / 'nothing').exit_code == 2


def test_damaged_backup_restores_nothing(flask, restored, tmp_path):
    succeed(flask(*SEED))
    file = tmp_path / 'backup'
    succeed(flask('backup', file))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    response = restore(restored, file)
    assert (response.exit_code, response.output.count('\n')) == (1, 1), response.output
    file.write_bytes(whole)
    succeed(restore(restored, file))


def is_on_postgresql(app: Flask) -> bool:
    return make_url(app.config['SQLALCHEMY_DATABASE_URI']).get_backend_name() == 'postgresql'


def test_damaged_database_is_not_copied(tmp_path):
    url = f'sqlite:///{tmp_path}/damaged.sqlite'
    app = create_app(Settings(database_url=url, log_level='ERROR'))
    databases.migrate(app)
    with app.app_context():
        db.session.execute(text('PRAGMA writable_schema = ON'))
        db.session.execute(text("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'users'"))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    response = app.test_cli_runner().invoke(args=['backup', str(tmp_path / 'backup')])
    expect_error(response, f'{tmp_path}/damaged.sqlite is damaged: ')
    assert not (tmp_path / 'backup').exists()


@pytest.mark.process
def test_killed_backup_leaves_no_file(settings, flask, tmp_path):
    program = f"""
import os, signal
from api.app import create_app
from api.cli import backup
from config import Settings

backup.os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
app = create_app(Settings(database_url={settings.database_url!r}))
app.test_cli_runner().invoke(args=['backup', {str(tmp_path / 'backup')!r}])
"""
    ran = subprocess.run([sys.executable, '-c', program], cwd=ROOT, check=False)
    assert ran.returncode == -9
    (part,) = names(tmp_path)
    assert part.endswith('.part')
    succeed(flask('backup', tmp_path / 'backup'))


@pytest.fixture
def pretended(starts_processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Flask]:
    """Return a function that replaces pg_dump by a script and returns an app whose database has a password."""

    def pretend(script: str) -> Flask:
        (tmp_path / 'pg_dump').write_text(f'#!/bin/sh\n{script}\n')
        (tmp_path / 'pg_dump').chmod(0o700)
        monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
        url = 'postgresql+psycopg://ana:s%20cret@db.internal:5433/blog?sslmode=require'
        return create_app(Settings(database_url=url, log_level='ERROR'))

    return pretend


def test_password_is_not_on_the_command_line(pretended, tmp_path):
    app = pretended(f'for word; do echo "$word"; done > {tmp_path}/seen; echo "$PGPASSWORD" > {tmp_path}/password')
    succeed(app.test_cli_runner().invoke(args=['backup', str(tmp_path / 'backup')]))
    words = (tmp_path / 'seen').read_text()
    assert 'cret' not in words
    assert set(words.splitlines()) >= {
        '--format=custom',
        '--no-password',
        '--dbname=host=db.internal dbname=blog user=ana port=5433 sslmode=require',
    }
    assert (tmp_path / 'password').read_text() == 's cret\n'


@pytest.mark.parametrize(
    ('script', 'message'),
    [
        ('echo "pg_dump: error: no\nway" >&2; exit 1', 'pg_dump: error: no way'),
        ('kill -9 $$', 'pg_dump failed with exit code -9'),
    ],
)
def test_failing_tool_leaves_no_file(pretended, tmp_path, script, message):
    app = pretended(script)
    expect_error(app.test_cli_runner().invoke(args=['backup', str(tmp_path / 'backup')]), message)
    assert names(tmp_path) == ['pg_dump']


def test_missing_tool_is_reported(pretended, tmp_path, monkeypatch):
    app = pretended('')
    monkeypatch.setenv('PATH', '/nowhere')
    message = 'pg_dump not found: install the PostgreSQL client'
    expect_error(app.test_cli_runner().invoke(args=['backup', str(tmp_path / 'backup')]), message)
