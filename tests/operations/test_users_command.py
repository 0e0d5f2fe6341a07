"""`flask users`: administration of accounts."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select, update

from api.actions import account_deletion, jobs
from api.cli import users
from api.cli.counters import repair_counters
from api.clock import utcnow
from api.db.session import db
from api.jobs.handlers import run_next_job
from api.jobs.mailer import mailer
from api.models import Job, Post, Token, User
from support.databases import dump_rows
from tests.support.client import PASSWORD, Client
from tests.support.rows import add_follows, add_likes, add_posts, add_users

COMMANDS = ['disable', 'enable', 'delete', 'reset-password', 'tokens']
BATCH_SIZE = 5


@pytest.fixture
def run(app: Flask) -> Callable[..., Result]:
    """Return a function: `run('disable', 'ana')` runs `flask users disable ana` with the text `stdin` as input."""
    runner = app.test_cli_runner()

    def invoke(*words: str, stdin: str = '') -> Result:
        # As `flask` does, push the application context before the arguments are parsed.
        with app.app_context():
            return runner.invoke(args=['users', *words], input=stdin)

    return invoke


def count(app: Flask, model: Any, *which: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model).where(*which)) or 0


def make_token(client: Client, name: str = 'program') -> str:
    response = client.post('/api/me/tokens', json={'name': name, 'scopes': ['users:read', 'posts:read']})
    assert response.status_code == 201
    return str(response.json['token'])


def status_of(client: Client, token: str) -> int:
    return client.get('/api/me', headers={'Authorization': f'Bearer {token}'}).status_code


def without_variable_headers(response: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [(name, value) for name, value in response.headers if name not in ('X-Request-ID', 'Date')]
    return response.status_code, headers, response.data


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('name', ['an', 'ana@example.com', ''])
def test_unknown_username_is_rejected(run, login, app, command, name):
    ana = login('ana')
    before = dump_rows(app)
    response = run(command, name, stdin='y\n')
    assert response.exit_code == 2
    assert 'no user has this name' in response.output
    assert dump_rows(app) == before
    assert ana.get('/api/me').status_code == 200


@pytest.mark.parametrize('command', COMMANDS)
def test_username_is_required(run, command):
    response = run(command)
    assert response.exit_code == 2
    assert "Missing argument 'USERNAME'" in response.output


def test_disable_revokes_all_credentials(app, run, login):
    ana, ben = login('ana'), login('ben')
    token = make_token(ana)
    post = add_posts(app, ana.id, 1)[0]
    response = run('disable', 'ANA')
    assert (response.exit_code, response.output) == (0, 'ana is disabled and their tokens are revoked\n')
    assert [status_of(ana, secret) for secret in (ana.token, token)] == [401, 401]
    assert count(app, Token, Token.user_id == ana.id) == 0
    assert ben.get('/api/me').status_code == 200
    assert ben.get(f'/api/posts/{post}').status_code == 200
    assert ben.get(f'/api/users/{ana.id}').status_code == 200


def test_disabled_user_gets_the_401_of_a_wrong_password(run, login, anonymous):
    login('ana')
    wrong = anonymous.ask_for_token('ana', 'not the password')
    assert run('disable', 'ana').exit_code == 0
    assert without_variable_headers(anonymous.ask_for_token('ana')) == without_variable_headers(wrong)
    assert wrong.status_code == 401


def test_disabled_user_gets_no_reset_link(app, run, login, anonymous, monkeypatch):
    login('ana')
    run('disable', 'ana')
    assert anonymous.post('/api/password-resets', json={'email': 'ana@example.com'}).status_code == 202
    mails = deliver_all(app, monkeypatch)
    assert mails == []


def deliver_all(app: Flask, monkeypatch: Any) -> list[str]:
    """Run all due jobs and return the recipients of their mails."""
    recipients: list[str] = []
    monkeypatch.setattr(mailer, 'send', lambda recipient, *rest: recipients.append(recipient))
    with app.app_context():
        while run_next_job():
            pass
    return recipients


def test_enabled_user_logs_in_but_old_tokens_stay_revoked(run, login):
    ana = login('ana')
    token = make_token(ana)
    run('disable', 'ana')
    response = run('enable', 'Ana')
    assert (response.exit_code, response.output) == (0, 'ana can log in again\n')
    assert [status_of(ana, secret) for secret in (ana.token, token)] == [401, 401]
    given = ana.ask_for_token('ana')
    assert given.status_code == 200
    assert given.json['token'] != ana.token
    assert status_of(ana, given.json['token']) == 200


def test_enabling_an_enabled_user_changes_nothing(app, run, login):
    ana = login('ana')
    before = dump_rows(app)
    assert run('enable', 'ana').exit_code == 0
    assert dump_rows(app) == before
    assert ana.get('/api/me').status_code == 200


def test_user_under_deletion_cannot_be_enabled(app, run, login, monkeypatch):
    """Some rows of the account are deleted already, and the worker deletes the rest."""
    monkeypatch.setattr(account_deletion, 'BATCH_SIZE', BATCH_SIZE)
    ana = login('ana')
    add_posts(app, ana.id, 2 * BATCH_SIZE)
    assert ana.delete(f'/api/users/{ana.id}', json={'password': PASSWORD}).status_code == 204
    response = run('enable', 'ana')
    assert response.exit_code != 0
    assert ana.ask_for_token('ana').status_code == 401


@pytest.mark.parametrize('stdin', ['', 'n\n', '\n', 'no\n'])
def test_delete_asks_for_confirmation(app, run, login, stdin):
    ana = login('ana')
    response = run('delete', 'ana', stdin=stdin)
    assert response.exit_code == 1
    assert 'This cannot be undone. Delete the account and all its data? [y/N]' in response.output
    assert ana.get('/api/me').status_code == 200


@pytest.mark.parametrize(('words', 'stdin'), [(['--yes'], ''), ([], 'y\n')])
def test_delete_erases_a_large_account(app, run, login, monkeypatch, words, stdin):
    monkeypatch.setattr(account_deletion, 'BATCH_SIZE', BATCH_SIZE)
    ana, ben = login('anastasia'), login('ben')
    posts = add_posts(app, ana.id, 3 * BATCH_SIZE + 1)
    add_posts(app, ben.id, 2 * BATCH_SIZE, reply_to=posts[0])
    followers = add_users(app, 2 * BATCH_SIZE)
    add_follows(app, [(follower, ana.id) for follower in followers])
    add_likes(app, [(follower, posts[1]) for follower in followers])
    response = run('delete', 'anastasia', *words, stdin=stdin)
    assert response.exit_code == 0
    assert response.output.endswith('anastasia is deleted\n')
    assert 'anastasia' not in dump_rows(app)
    assert count(app, Post) == 2 * BATCH_SIZE
    assert count(app, Job) == 0
    assert status_of(ana, ana.token) == 401
    with app.app_context():
        assert repair_counters() == 0


def test_interrupted_deletion_is_completed_by_the_worker(app, run, login, monkeypatch):
    """Otherwise half of a disabled account would remain."""
    monkeypatch.setattr(account_deletion, 'BATCH_SIZE', BATCH_SIZE)
    ana = login('ana')
    add_posts(app, ana.id, 3 * BATCH_SIZE)
    delete_batch, times = users.delete_batch, iter([False, True])

    def break_off(user_id: int) -> bool:
        if next(times):
            raise KeyboardInterrupt
        return delete_batch(user_id)

    monkeypatch.setattr(users, 'delete_batch', break_off)
    assert run('delete', 'ana', '--yes').exit_code != 0
    assert count(app, Post) == 2 * BATCH_SIZE
    deliver_all(app, monkeypatch)
    assert count(app, User) == 0


def test_reset_voids_the_password_and_queues_mail(app, run, login, anonymous, monkeypatch):
    ana = login('ana')
    token = make_token(ana)
    response = run('reset-password', 'ana')
    assert response.exit_code == 0
    assert response.output == 'the password and tokens of ana are invalid now; a reset link will be mailed to them\n'
    assert [status_of(ana, secret) for secret in (ana.token, token)] == [401, 401]
    assert count(app, Token) == 0
    assert anonymous.ask_for_token('ana').status_code == 401
    with app.app_context():
        messages = db.session.execute(select(Job.type, Job.recipient)).all()
    assert [tuple(message) for message in messages] == [(jobs.RESET_PASSWORD, 'ana@example.com')]
    assert deliver_all(app, monkeypatch) == ['ana@example.com']


def test_tokens_are_listed_without_secrets(run, login):
    ana, ben = login('ana'), login('ben')
    token, others = make_token(ana, 'nightly'), make_token(ben, 'of ben')
    response = run('tokens', 'ana')
    assert response.exit_code == 0
    by_password, personal = response.output.splitlines()
    until = r'until \d{4}-\d\d-\d\d \d\d:\d\d'
    assert re.fullmatch(rf'\d+  session  {until}  all scopes', by_password)
    assert re.fullmatch(rf'\d+  nightly  {until}  users:read posts:read', personal)
    assert not [secret for secret in (ana.token, ben.token, token, others) if secret in response.output]


def test_revoke_ends_all_tokens(app, run, login):
    ana, ben = login('ana'), login('ben')
    token = make_token(ana)
    response = run('tokens', 'ana', '--revoke')
    assert (response.exit_code, response.output) == (0, '')
    assert [status_of(ana, secret) for secret in (ana.token, token)] == [401, 401]
    assert status_of(ben, ben.token) == 200
    assert count(app, Token, Token.user_id == ana.id) == 0
    assert ana.ask_for_token('ana').status_code == 200


def test_expired_token_is_listed_with_its_end(app, run, login):
    login('ana')
    ended = utcnow() - timedelta(days=3)
    with app.app_context():
        db.session.execute(update(Token).values(expires_at=ended))
        db.session.commit()
    assert f'until {ended:%Y-%m-%d %H:%M}' in run('tokens', 'ana').output


def test_user_without_tokens(run, login, app):
    login('ana')
    run('tokens', 'ana', '--revoke')
    assert run('tokens', 'ana').output == ''
