"""Migrations create the schema of the models, reverse step by step, and may be run by several processes at once."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from click.testing import Result
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError

from api.app import create_app
from api.cli import migrations
from api.cli.structure import structure
from api.db.session import db
from config import ROOT, Settings
from support import process_groups

SCRIPTS = ScriptDirectory(str(migrations.MIGRATIONS))
HEAD = SCRIPTS.get_current_head()
REVISIONS = list(SCRIPTS.walk_revisions())
ACCOUNTS = '5d1f0a83c2b6'


@pytest.fixture(params=['sqlite', 'postgresql'])
def url(request: pytest.FixtureRequest, empty_database: Callable[[str], str]) -> str:
    return empty_database(request.param)


@pytest.fixture
def flask_db(url: str) -> Iterator[Callable[..., Result]]:
    """Yield a function that runs `flask db` with arguments."""
    app = create_app(Settings(database_url=url, log_level='ERROR'))
    runner = app.test_cli_runner()
    yield lambda *arguments: runner.invoke(args=['db', *arguments])
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def engine(url: str) -> Engine:
    """Return an engine to inspect the database, or to change it without a migration."""
    return create_engine(url, poolclass=NullPool)


def succeed(result: Result) -> None:
    assert result.exit_code == 0, (result.output, result.exception)


def lines(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return structure(connection, None)


def start(url: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {'DATABASE_URL': url, 'ENVIRONMENT': 'development'}
    command = [sys.executable, '-m', 'flask', '--app', 'main', 'db', *arguments]
    pipe = subprocess.PIPE
    return process_groups.start(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process_groups.kill(process)
    return process.returncode, output, errors


def test_migrations_are_linear():
    assert len(SCRIPTS.get_heads()) == len(SCRIPTS.get_bases()) == 1


@pytest.mark.parametrize('revision', REVISIONS, ids=lambda script: script.revision)
def test_migration_file_names(revision):
    assert re.fullmatch(r'\d{8}_\d{4}_[a-z0-9_]+\.py', Path(revision.path).name)


def test_upgraded_database_matches_the_models(flask_db):
    succeed(flask_db('upgrade'))
    succeed(flask_db('check'))


def test_upgrade_is_idempotent(flask_db, engine):
    succeed(flask_db('upgrade'))
    before = lines(engine)
    succeed(flask_db('upgrade'))
    assert lines(engine) == before


def test_each_migration_reverses(flask_db, engine):
    succeed(flask_db('upgrade'))
    for _ in REVISIONS:
        before = lines(engine)
        assert before
        succeed(flask_db('downgrade'))
        assert lines(engine) != before
        succeed(flask_db('upgrade', '+1'))
        assert lines(engine) == before
        succeed(flask_db('downgrade'))
    assert lines(engine) == set()
    succeed(flask_db('upgrade'))
    succeed(flask_db('check'))


def test_accounts_downgrade_keeps_other_data(flask_db, engine):
    succeed(flask_db('upgrade', ACCOUNTS))
    with engine.begin() as connection:
        for statement in (
            'INSERT INTO users (id, username, email, email_verified, password_hash, credentials_version, created_at)'
            " VALUES (7, 'Ana', 'Ana@example.com', true, 'x', 3, '2026-01-01')",
            'INSERT INTO tokens (id, user_id, digest, seed, created_at, expires_at)'
            " VALUES (1, 7, 'given', 'seed', '2026-01-01', '2026-01-02')",
            'INSERT INTO tokens (id, user_id, digest, name, scopes, created_at, expires_at)'
            " VALUES (2, 7, 'personal', 'backup', 'posts:read', '2026-01-01', '2026-01-02')",
            'INSERT INTO outbox (id, topic, user_id, created_at, due_at)'
            " VALUES (1, 'verify_email', 7, '2026-01-01', '2026-01-01')",
        ):
            connection.execute(text(statement))
    succeed(flask_db('downgrade'))
    assert tokens_in(engine) == [(1, 7)]
    succeed(flask_db('upgrade', ACCOUNTS))
    assert tokens_in(engine) == [(1, 7)]
    with engine.connect() as connection:
        users = connection.execute(
            text('SELECT id, username, email_verified, credentials_version, disabled_at FROM users')
        )
        assert users.all() == [(7, 'Ana', False, 0, None)]
        assert connection.scalar(text('SELECT count(*) FROM outbox')) == 0


def tokens_in(engine: Engine) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text('SELECT id, user_id FROM tokens ORDER BY id'))]


@pytest.mark.parametrize('steps', [['upgrade'], ['upgrade', 'downgrade'], ['upgrade', 'downgrade', 'upgrade']])
def test_username_and_email_stay_unique(flask_db, engine, steps):
    for step in steps:
        succeed(flask_db(step) if step == 'downgrade' else flask_db('upgrade', ACCOUNTS))
    insert = "INSERT INTO users (username, email, password_hash, created_at) VALUES (:name, :email, '', '2026-01-01')"
    with engine.begin() as connection:
        connection.execute(text(insert), {'name': 'ana', 'email': 'ana@example.com'})
    for index, values in (
        ('uq_users_username', {'name': 'ANA', 'email': 'other@example.com'}),
        ('uq_users_email', {'name': 'other', 'email': 'ANA@example.com'}),
    ):
        with pytest.raises(IntegrityError, match=index), engine.begin() as connection:
            connection.execute(text(insert), values)


@pytest.mark.process
def test_current_prints_the_revision(flask_db, url):
    succeed(flask_db('upgrade'))
    succeed(flask_db('current'))
    code, output, errors = finish(start(url, 'current'))
    assert (code, output) == (0, f'{HEAD} (head)\n'), errors


def test_check_fails_below_head(flask_db):
    succeed(flask_db('upgrade'))
    succeed(flask_db('downgrade'))
    assert flask_db('check').exit_code == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['check'], f'the database is at revision None, the newest is {HEAD}'),
        (['upgrade', 'nonsense'], "Can't locate revision identified by 'nonsense'"),
        (['downgrade'], "Relative revision -1 didn't produce 1 migrations"),
    ],
)
def test_failures_are_reported_in_one_line(flask_db, arguments, message):
    response = flask_db(*arguments)
    assert (response.exit_code, response.output) == (1, f'Error: {message}\n')


# A change of the database (SQLite: table, part of its definition, replacement; PostgreSQL: a statement) and a regular
# expression for the line that `flask db check` must print.
TAMPERED = {
    'nullable': (
        ('users', 'email VARCHAR(120) NOT NULL', 'email VARCHAR(120)'),
        'ALTER TABLE users ALTER email DROP NOT NULL',
        r'\+ users\.email: .*nullable=False',
    ),
    'longer': (
        ('users', 'username VARCHAR(64)', 'username VARCHAR(65)'),
        'ALTER TABLE users ALTER username TYPE varchar(65)',
        r'\+ users\.username: VARCHAR\(length=64\)',
    ),
    'without default': (
        ('users', "post_count INTEGER DEFAULT '0'", 'post_count INTEGER'),
        'ALTER TABLE users ALTER post_count DROP DEFAULT',
        r"\+ users\.post_count: .* default='0'",
    ),
    'without check': (
        ('follows', ', \n\tCONSTRAINT ck_follows_not_oneself CHECK (follower_id <> followed_id)', ''),
        'ALTER TABLE follows DROP CONSTRAINT ck_follows_not_oneself',
        r'\+ follows: ck_follows_not_oneself check follower_id <> followed_id',
    ),
    'other check': (
        ('users', 'post_count >= 0', 'post_count >= -1'),
        'ALTER TABLE users DROP CONSTRAINT ck_users_post_count, '
        'ADD CONSTRAINT ck_users_post_count CHECK (post_count >= -1)',
        r'\+ users: ck_users_post_count check post_count >= 0',
    ),
    'without primary key': (
        ('table_counts', 'CONSTRAINT pk_table_counts PRIMARY KEY (table_name), \n\t', ''),
        'ALTER TABLE table_counts DROP CONSTRAINT pk_table_counts',
        r"\+ table_counts: primary key \['table_name'\]",
    ),
    'without cascade': (
        ('posts', ' ON DELETE CASCADE', ''),
        'ALTER TABLE posts DROP CONSTRAINT fk_posts_author_id_users, '
        'ADD CONSTRAINT fk_posts_author_id_users FOREIGN KEY (author_id) REFERENCES users (id)',
        r"\+ posts: fk_posts_author_id_users \['author_id'\] -> users\['id'\] \{'ondelete': 'CASCADE'\}",
    ),
    'without foreign key': (
        (
            'tokens',
            ', \n\tCONSTRAINT fk_tokens_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE',
            '',
        ),
        'ALTER TABLE tokens DROP CONSTRAINT fk_tokens_user_id_users',
        r'\+ tokens: fk_tokens_user_id_users',
    ),
    'not unique': (
        ('tokens', ', \n\tCONSTRAINT uq_tokens_digest UNIQUE (digest)', ''),
        'ALTER TABLE tokens DROP CONSTRAINT uq_tokens_digest',
        r"\+ tokens: uq_tokens_digest unique \['digest'\]",
    ),
}
# The same statement for both databases.
TAMPERED_ALIKE = {
    'without index': (
        'DROP INDEX ix_posts_author_id_id',
        r'\+ CREATE INDEX ix_posts_author_id_id ON posts .*author_id, id',
    ),
    'without unique index': ('DROP INDEX uq_users_email', r'\+ CREATE UNIQUE INDEX uq_users_email ON users .*lower\('),
    'one more index': ('CREATE INDEX ix_more ON users (last_seen)', r'- CREATE INDEX ix_more'),
    'one more column': ('ALTER TABLE users ADD COLUMN more TEXT', r'- users\.more: TEXT'),
    'one more table': ('CREATE TABLE more (id INTEGER PRIMARY KEY)', r"- more: primary key \['id'\]"),
    'without a table': ('DROP TABLE tokens', r"\+ tokens: primary key \['id'\]"),
}


def rebuild(connection: Connection, table: str, old: str, new: str) -> None:
    """Recreate an empty SQLite table from a changed definition, as SQLite cannot alter constraints."""
    query = "SELECT sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL ORDER BY type = 'index'"
    definition, *indexes = connection.execute(text(query), {'table': table}).scalars()
    assert old in definition, definition
    for statement in (f'DROP TABLE {table}', definition.replace(old, new), *indexes):
        connection.exec_driver_sql(statement)


def expect_difference(response: Result, line: str) -> None:
    assert response.exit_code == 1
    first, *differences = response.output.splitlines()
    assert first == 'Error: the database differs from the models:'
    assert any(re.match(line, difference) for difference in differences), response.output
    assert all(difference.startswith(('+ ', '- ')) for difference in differences)
    # The output lists the change only, not the whole schema.
    assert len(differences) <= 16, response.output


@pytest.mark.parametrize('change', TAMPERED)
def test_check_finds_difference(flask_db, engine, change):
    succeed(flask_db('upgrade'))
    rebuilding, statement, line = TAMPERED[change]
    with engine.begin() as connection:
        if connection.dialect.name == 'sqlite':
            rebuild(connection, *rebuilding)
        else:
            connection.execute(text(statement))
    expect_difference(flask_db('check'), line)


@pytest.mark.parametrize('change', TAMPERED_ALIKE)
def test_check_finds_difference_on_both_databases(flask_db, engine, change):
    succeed(flask_db('upgrade'))
    statement, line = TAMPERED_ALIKE[change]
    with engine.begin() as connection:
        connection.execute(text(statement))
    expect_difference(flask_db('check'), line)


@pytest.mark.parametrize('url', ['sqlite'], indirect=True)
def test_dangling_foreign_keys_are_reported(flask_db, engine):
    """Foreign keys are off while SQLite migrates, so they are checked afterwards."""
    succeed(flask_db('upgrade'))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO posts (id, author_id, text, created_at) VALUES (7, 8, '', '2026-01-01')"))
    response = flask_db('upgrade')
    assert response.exit_code == 1
    assert response.output.startswith("Error: rows that reference missing rows: [('posts', 7, 'users', ")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the migrations folder, to which a test can add a migration."""
    copy = shutil.copytree(migrations.MIGRATIONS, tmp_path / 'migrations', ignore=shutil.ignore_patterns('__pycache__'))
    monkeypatch.setattr(migrations, 'MIGRATIONS', copy)
    return copy


def written(folder: Path) -> str:
    """Return the source of the added migration, after a check of its file name."""
    known = {Path(script.path).name for script in REVISIONS}
    (path,) = (path for path in (folder / 'versions').glob('*.py') if path.name not in known)
    assert re.fullmatch(r'\d{8}_\d{4}_more_of_it\.py', path.name)
    return path.read_text()


def ignore_expression_warnings(test):
    """Ignore Alembic's warnings that it does not compare expression-based indexes on SQLite."""
    for message in ('Skipped unsupported reflection of', 'autogenerate skipping metadata-specified'):
        test = pytest.mark.filterwarnings(f'ignore:{message} expression-based index')(test)
    return test


@ignore_expression_warnings
def test_migrate_without_changes_is_empty(flask_db, copied):
    succeed(flask_db('upgrade'))
    succeed(flask_db('migrate', '-m', 'more of it'))
    migration = written(copied)
    bodies = re.findall(r'^    (?!#)(.*)$', migration, re.MULTILINE)
    assert bodies == ['pass', 'pass'], migration
    assert f"down_revision = '{HEAD}'" in migration


@ignore_expression_warnings
def test_migrate_writes_the_difference(flask_db, engine, copied):
    succeed(flask_db('upgrade'))
    with engine.begin() as connection:
        connection.execute(text('DROP INDEX ix_posts_author_id_id'))
        connection.execute(text('ALTER TABLE users DROP COLUMN last_seen'))
    succeed(flask_db('migrate', '-m', 'more of it'))
    migration = written(copied)
    assert "create_index(batch_op.f('ix_posts_author_id_id'), ['author_id', 'id'], unique=False)" in migration
    assert "add_column(sa.Column('last_seen', sa.DateTime(timezone=True), nullable=True))" in migration
    succeed(flask_db('upgrade'))
    succeed(flask_db('check'))


@pytest.fixture(scope='module')
def upgrade_at_once(starts_processes: None) -> Iterator[Callable[[str], list[list[Any]]]]:
    """Yield a function that upgrades a database in four processes and returns their exit codes and outputs."""
    command = [sys.executable, '-m', 'tests.support.upgrades', '4']
    environment = os.environ | {'ENVIRONMENT': 'development'}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout

        def upgrade(url: str) -> list[list[Any]]:
            process.stdin.write(f'{url}\n')
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield upgrade


@pytest.mark.parametrize('before', [[], [['upgrade'], ['downgrade']]], ids=['empty', 'one behind'])
def test_four_processes_upgrade_at_once(flask_db, url, upgrade_at_once, before):
    for arguments in before:
        succeed(flask_db(*arguments))
    results = upgrade_at_once(url)
    assert [code for code, _ in results] == [0] * 4, results
    succeed(flask_db('check'))


def test_only_one_process_migrates_at_a_time(url):
    with migrations.connection_to(make_url(url)) as connection:
        if connection.dialect.name == 'sqlite':
            with Path(f'{connection.engine.url.database}.lock').open('w') as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            with create_engine(url, poolclass=NullPool).connect() as other:
                assert not other.scalar(text('SELECT pg_try_advisory_lock(:key)'), {'key': migrations.MIGRATION_LOCK})
