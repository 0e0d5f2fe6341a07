"""`flask copy` copies all rows between any two databases, or none."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import delete, insert, select, text, update

from api.app import create_app
from api.cli import copy
from api.clock import utcnow
from api.db.session import db
from api.models import Follow, Job, Like, Post, PostVersion, TableCount, Token, User
from config import ROOT, Settings
from support import databases

SEED = ['seed', '--users', '40', '--follows', '200', '--posts', '300', '--likes', '400']
BIG = 2**63 - 1


@pytest.fixture(params=['sqlite', 'postgresql'])
def target_url(request: pytest.FixtureRequest, empty_database: Callable[[str], str]) -> str:
    return empty_database(request.param)


@pytest.fixture
def target(target_url: str, settings: Settings) -> Iterator[Flask]:
    """Yield an application on the target database."""
    app = create_app(Settings(database_url=target_url, log_level='ERROR'))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def copied(app: Flask, target_url: str) -> Callable[[], Result]:
    return lambda: app.test_cli_runner().invoke(args=['copy', target_url])


@pytest.fixture
def seeded(app: Flask) -> Flask:
    assert app.test_cli_runner().invoke(args=SEED).exit_code == 0
    return app


@pytest.fixture
def any_ids(app: Flask) -> Iterator[Flask]:
    """Yield the application, and afterwards reset the SQLite sequences that explicit ids have advanced."""
    yield app
    if app.config['SQLALCHEMY_DATABASE_URI'].startswith('sqlite'):
        change(app, text('UPDATE sqlite_sequence SET seq = 0'))


def contents(app: Flask) -> dict[str, list[Any]]:
    with app.app_context():
        return {table.name: rows(table) for table in db.metadata.sorted_tables}


def rows(table: Any) -> list[Any]:
    return [tuple(row) for row in db.session.execute(select(table).order_by(table.c[0]))]


def change(app: Flask, *statements: Any) -> None:
    with app.app_context():
        for statement in statements:
            db.session.execute(statement)
        db.session.commit()


def expect_error(response: Result, message: str) -> None:
    assert response.exit_code == 1
    assert response.output.splitlines()[-1].startswith(f'Error: {message}'), response.output


def test_copy_contains_all_rows_and_works(seeded, target, copied):
    response = copied()
    assert response.exit_code == 0, response.output
    assert [line.split(', ')[0] for line in response.output.splitlines()] == [
        f'{name}: {len(found)} rows' for name, found in contents(seeded).items()
    ]
    assert contents(target) == contents(seeded)
    assert target.test_cli_runner().invoke(args=['db', 'check']).exit_code == 0
    assert target.test_cli_runner().invoke(args=['counters', 'repair']).output == 'all counters are correct\n'


def test_copy_does_not_reuse_ids(seeded, target, copied):
    gone = add_user(seeded)
    change(seeded, delete(User).where(User.id == gone))
    assert copied().exit_code == 0
    assert add_user(target) == gone + 1


def add_user(app: Flask) -> int:
    with app.app_context():
        user = insert(User).values(username='last', email='last@example.com', password_hash='', created_at=utcnow())
        id = db.session.scalars(user.returning(User.id)).one()
        db.session.commit()
        return id


def test_copy_keeps_extreme_values(app, any_ids, target, copied):
    moment = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    change(
        app,
        insert(User).values(
            id=BIG, username='Zoë\t\\N', email='', password_hash='\\.', about_me='', created_at=moment[0],
            last_seen=moment[1], post_count=BIG, email_verified=True,
        ),
        insert(User).values(
            id=1, username='なるほど 🎉', email='x', password_hash="'\n\r", about_me=None, created_at=moment[1]
        ),
        # The two posts refer to each other.
        insert(Post).values(id=1, author_id=BIG, text='\u0001 \u2028', created_at=moment[0]),
        insert(Post).values(id=BIG - 1, author_id=1, text='👍' * 280, created_at=moment[0], reply_to_id=1),
        update(Post).where(Post.id == 1).values(reply_to_id=BIG - 1),
        insert(PostVersion).values(post_id=1, text='', written_at=moment[0]),
        insert(Token).values(
            user_id=1, digest=bytes(range(32)), seed=b'\0' * 16, created_at=moment[0], expires_at=moment[1]
        ),
        insert(Job).values(type='x', created_at=moment[0], due_at=None, error='né'),
    )  # fmt: skip
    response = copied()
    assert response.exit_code == 0, response.output
    assert contents(target) == contents(app)


def test_copy_of_empty_database(app, target, copied):
    assert copied().exit_code == 0
    assert contents(target) == contents(app)


def test_writes_during_copy_are_not_copied(seeded, target, copied, monkeypatch):
    """Writers are not blocked, and the copy is a consistent snapshot."""
    before = contents(seeded)
    original = copy.copy_table

    def write_between(source, target, table):
        writer = threading.Thread(target=change, args=(seeded, update(User).values(about_me=table.name), delete(Like)))
        writer.start()
        writer.join()
        return original(source, target, table)

    monkeypatch.setattr(copy, 'copy_table', write_between)
    assert copied().exit_code == 0
    assert contents(target) == before != contents(seeded)


def test_copy_into_empty_schema(seeded, target, copied):
    databases.migrate(target)
    assert copied().exit_code == 0
    assert contents(target) == contents(seeded)


def test_copy_into_non_empty_target_fails(seeded, target, copied):
    databases.migrate(target)
    user = insert(User).values(id=1, username='ana', email='', password_hash='', created_at=utcnow())
    change(target, user, insert(Job).values(type='x', created_at=utcnow()))
    before = contents(target)
    expect_error(copied(), 'the target must be empty, but has rows in users, jobs')
    assert contents(target) == before


def test_copy_onto_itself_fails(seeded, settings):
    before = contents(seeded)
    expect_error(seeded.test_cli_runner().invoke(args=['copy', settings.database_url]), 'the target must be empty')
    assert contents(seeded) == before


def test_copy_into_other_revision_fails(seeded, target, copied):
    databases.migrate(target)
    assert target.test_cli_runner().invoke(args=['db', 'downgrade']).exit_code == 0
    expect_error(copied(), 'the target is at revision ')


def test_copy_into_foreign_database_fails(seeded, target, copied):
    change(target, text('CREATE TABLE guests (id INTEGER)'))
    expect_error(copied(), 'the target is at revision None')


def test_copy_from_other_revision_fails(target, copied, tmp_path):
    bare = create_app(Settings(database_url=f'sqlite:///{tmp_path}/bare.sqlite', log_level='ERROR'))
    expect_error(bare.test_cli_runner().invoke(args=['copy', 'sqlite:///x']), 'the database is at revision None')
    with bare.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    ('url', 'message'),
    [
        ('postgresql://ana@127.0.0.1:1/nothing', 'connection failed: '),
        ('sqlite:////dev/null/target.sqlite', '[Errno 17] File exists'),
    ],
)
def test_unreachable_target_is_reported(app, url, message):
    expect_error(app.test_cli_runner().invoke(args=['copy', url]), message)


@pytest.mark.parametrize('url', ['target.sqlite', 'sqlite://', 'mysql://host/name', 'postgresql://host:port/name'])
def test_invalid_target_url_is_rejected(app, url):
    response = app.test_cli_runner().invoke(args=['copy', url])
    assert response.exit_code == 2
    assert 'must be a URL of the form' in response.output


@pytest.mark.parametrize('target_url', ['postgresql'], indirect=True)
def test_text_invalid_for_postgresql_is_reported(app, target, copied):
    """SQLite can store such values, although the API rejects them."""
    if app.config['SQLALCHEMY_DATABASE_URI'].startswith('postgresql'):
        pytest.skip('PostgreSQL does not hold it')
    user = {'email': '', 'password_hash': '', 'created_at': utcnow()}
    change(app, insert(User).values(id=7, username='\0', **user))
    expect_error(
        copied(), 'PostgreSQL rejects the row 7 of users: PostgreSQL text fields cannot contain NUL (0x00) bytes'
    )
    change(app, update(User).values(username='x' * 65))
    expect_error(copied(), 'value too long for type character varying(64) CONTEXT: COPY users, line 1')
    change(app, update(User).values(username='ana'), text("UPDATE users SET email = x'ff'"))
    expect_error(copied(), 'the copy of users differs: expected 1 rows, sha256 ')
    assert {name: len(found) for name, found in contents(target).items() if found} == {'table_counts': 1}


@pytest.mark.process
def test_interrupted_copy_leaves_no_rows(seeded, target, target_url, settings):
    """A copy killed while it copies posts leaves no rows, and the next copy is complete."""
    databases.migrate(target)
    before = contents(target)
    program = f"""
import os, signal
from api.app import create_app
from api.cli import copy
from config import Settings

def rows(connection, table, original=copy.iter_rows):
    for number, row in enumerate(original(connection, table)):
        yield row
        if table.name == 'posts' and number == 150:
            os.kill(os.getpid(), signal.SIGKILL)

copy.iter_rows = rows
app = create_app(Settings(database_url={settings.database_url!r}))
print(app.test_cli_runner().invoke(args=['copy', {target_url!r}]).output)
"""
    ran = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran
    assert contents(target) == before
    assert seeded.test_cli_runner().invoke(args=['copy', target_url]).exit_code == 0
    assert contents(target) == contents(seeded)


def test_changed_row_is_detected(seeded, target, copied, monkeypatch):
    def write_otherwise(connection, table, columns, rows, original=copy.write_rows):
        original(connection, table, columns, rows)
        if table.name == 'follows':
            connection.execute(update(Follow).where(Follow.id == 7).values(created_at=utcnow()))

    monkeypatch.setattr(copy, 'write_rows', write_otherwise)
    expect_error(copied(), 'the copy of follows differs: expected 200 rows, sha256 ')
    assert {name: found for name, found in contents(target).items() if found} == {'table_counts': [('users', 0)]}


def test_text_keys_are_copied_in_one_order(app, target, copied):
    names = 'a', 'B', 'Ä', '_', 'z'
    change(app, *(insert(TableCount).values(table_name=name) for name in names))
    response = copied()
    same = contents(target) == contents(app)
    change(app, delete(TableCount).where(TableCount.table_name.in_(names)))
    assert response.exit_code == 0, response.output
    assert same
