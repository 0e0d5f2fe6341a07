"""Passwords, tokens and links do not appear in logs, in the database or in responses."""

import io
import json
import logging
import re
import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.db.session import db
from api.http.logs import configure_logging
from api.jobs.handlers import run_next_job
from api.jobs.mailer import mailer
from support.databases import dump_rows
from tests.support.client import PASSWORD, Client, basic

SECRET = 'unlikely7secret and more'
NEW_SECRET = 'improbable8secret and more'
WRONG_SECRET = 'incredible9secret and more'
PASSWORDS = (SECRET, NEW_SECRET, WRONG_SECRET)
MERGE_PATCH = 'application/merge-patch+json'


class Secrets:
    """The secrets that a test issues, to search for."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        names = ('ana', 'ben')
        encoded = [basic(name, password)['Authorization'].partition(' ')[2] for name in names for password in PASSWORDS]
        self._passwords = [*PASSWORDS, *encoded]

    @property
    def all(self) -> list[str]:
        return [*self._passwords, *self.given.values()]

    def found_in(self, text: str) -> list[str]:
        """Return the secrets that the text contains, whole or in large part."""
        return [secret for secret in self.all if secret in text or secret[8:24] in text or secret[-12:-3] in text]


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Yield a function that returns the log of the application and of all libraries."""
    stream = io.StringIO()
    others = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    configure_logging('DEBUG', 'json')
    ours = logging.getLogger('api').handlers[0]
    assert isinstance(ours, logging.StreamHandler)
    ours.setStream(stream)
    root.addHandler(others)
    root.setLevel(logging.DEBUG)
    yield stream.getvalue
    root.setLevel(level)
    root.removeHandler(others)
    configure_logging('ERROR', 'text')


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects the texts of sent mails."""
    sent: list[str] = []
    monkeypatch.setattr(mailer, 'send', lambda recipient, subject, text, html: sent.append(text))
    return sent


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def ana(app: Flask, anonymous: Client, make_user: Any, mails: list[str], secrets: Secrets) -> Client:
    """Return a client whose password is SECRET, with tokens of all kinds: session, personal, reset, verification."""
    client = app.test_client()
    assert isinstance(client, Client)
    client.id = make_user('ana', password=SECRET)['id']
    client.token = anonymous.ask_for_token('ana', SECRET).json['token']
    wanted = {'name': 'a name', 'scopes': ['tokens:manage', 'users:read']}
    anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    deliver(app)
    links = [link for text in mails for link in re.findall('#([A-Za-z0-9_-]{64})', text)]
    assert len(links) == 2
    personal = client.post('/api/me/tokens', json=wanted).json['token']
    verification, reset = links
    secrets.given |= {'session': client.token, 'personal': personal, 'verification': verification, 'reset': reset}
    return client


def deliver(app: Flask) -> None:
    with app.app_context():
        while run_next_job():
            pass


def requests_with(secret: str, id: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield valid and invalid requests with a secret in every part but the path."""
    headers = [
        basic('ana', secret),
        basic(secret, 'x'),
        {'Authorization': f'Bearer {secret}'},
        {'Authorization': f'Basic {secret}'},
        {'Authorization': f'Digest username="{secret}"'},
        {'Authorization': secret},
        {'Cookie': f'session={secret}', 'Referer': f'http://127.0.0.1/{secret}', 'User-Agent': secret},
        {'Accept': secret, 'X-Token': secret, 'Origin': secret, 'If-None-Match': f'"{secret}"'},
        {'Content-Type': f'application/{secret}'},
    ]
    fields = ('password', 'old_password', 'new_password', 'token', 'scopes', 'expires_in', 'id')
    bodies: list[Any] = [{field: secret} for field in fields]
    bodies += [
        {'token': secret, 'new_password': NEW_SECRET},
        {'old_password': secret, 'new_password': NEW_SECRET},
        {'old_password': WRONG_SECRET, 'new_password': secret},
        {'username': 'ben', 'email': 'ben@example.com', 'password': secret},
        {'username': secret, 'email': secret, 'password': NEW_SECRET},
        {secret: secret},
        {'name': 'a name', 'scopes': [secret], 'expires_in': secret},
        [secret],
        secret,
    ]
    urls = [
        ('POST', '/api/tokens'),
        ('POST', '/api/users'),
        ('PUT', f'/api/users/{id}'),
        ('PUT', '/api/me/password'),
        ('POST', '/api/password-resets'),
        ('PUT', '/api/password-resets'),
        ('PUT', '/api/email-verifications'),
        ('POST', '/api/me/tokens'),
        ('GET', '/api/users'),
        ('GET', '/reset-password'),
        ('GET', '/verify-email'),
        ('GET', '/api/nowhere'),
    ]
    for method, url in urls:
        yield from ((method, url, {'headers': header}) for header in headers)
        yield method, url, {'query_string': {'token': secret, 'after': secret, secret: secret, 'per_page': secret}}
        if method != 'GET':
            yield from ((method, url, {'json': body}) for body in bodies)
            yield method, url, {'data': secret, 'content_type': 'application/json'}
            yield method, url, {'data': {'password': secret}}


def test_leak_detection_works(secrets: Secrets) -> None:
    for secret in secrets.all:
        assert secret in secrets.found_in(f'a line with {secret} in it')
    assert secrets.found_in('a line') == []


@pytest.mark.parametrize('kind', ['password', 'session', 'personal', 'reset'])
def test_request_secrets_are_neither_logged_nor_stored(
    app: Flask, anonymous: Client, ana: Client, secrets: Secrets, logged: Callable[[], str], kind: str
) -> None:
    secret = {'password': SECRET, **secrets.given}[kind]
    statuses = set()
    for method, url, sent in requests_with(secret, ana.id):
        headers = {'Authorization': f'Bearer {ana.token}'} | sent.get('headers', {})
        statuses.add(anonymous.open(url, method=method, **{**sent, 'headers': headers}).status_code)
    assert statuses >= {200, 400, 401, 404, 415}
    assert not [status for status in statuses if status >= 500]
    assert logged().count('"path"') > 100
    assert secrets.found_in(logged()) == []
    assert secrets.found_in(dump_rows(app)) == []


def log_in(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return anonymous.ask_for_token('ana', SECRET)


def call_with_a_token(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return anonymous.get('/api/users', headers={'Authorization': f'Bearer {given["personal"]}'})


def change_password(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return ana.put('/api/me/password', json={'old_password': SECRET, 'new_password': NEW_SECRET})


def request_reset(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return anonymous.post('/api/password-resets', json={'email': 'ana@example.com', 'token': given['reset']})


def reset_password(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return anonymous.put('/api/password-resets', json={'token': given['reset'], 'new_password': NEW_SECRET})


def verify_email(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return anonymous.put('/api/email-verifications', json={'token': given['verification']})


def make_token(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    headers = {'Authorization': f'Bearer {given["personal"]}'}
    return anonymous.post('/api/me/tokens', json={'name': 'a name', 'scopes': ['users:read']}, headers=headers)


def change_token(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return ana.patch('/api/me/tokens/1', data=json.dumps({'name': 'x', **given}), content_type=MERGE_PATCH)


def register(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    registration = {'username': 'ben', 'email': 'ben@example.com', 'password': NEW_SECRET}
    return anonymous.post('/api/users', json=registration)


def update_user(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return ana.put(f'/api/users/{ana.id}', json={'about_me': 'changed', 'password': SECRET})


def delete_account(anonymous: Client, ana: Client, given: dict[str, str]) -> TestResponse:
    return ana.delete(f'/api/users/{ana.id}', json={'password': SECRET})


@pytest.mark.parametrize(
    ('bug', 'send_request'),
    [
        ('api.routes.tokens.issue_token', log_in),
        ('api.http.auth.passwords.verify', log_in),
        ('api.http.auth.get_user_by_username', log_in),
        ('api.http.auth.token_digest', call_with_a_token),
        ('api.http.auth.is_well_formed', call_with_a_token),
        ('api.http.auth.find_caller', call_with_a_token),
        ('api.routes.account.check_current_password', change_password),
        ('api.http.auth.passwords.verify', change_password),
        ('api.routes.account.change_password', change_password),
        ('api.actions.passwords.passwords.hash', change_password),
        ('api.schemas.users.passwords.find_weakness', change_password),
        ('api.routes.account.request_password_reset', request_reset),
        ('api.routes.account.find_user_for_reset', reset_password),
        ('api.security.mail_tokens.base64.urlsafe_b64decode', reset_password),
        ('api.security.mail_tokens.hmac.compare_digest', reset_password),
        ('api.routes.account.reset_password', reset_password),
        ('api.routes.account.verify_email', verify_email),
        ('api.security.mail_tokens.hmac.compare_digest', verify_email),
        ('api.routes.personal_access_tokens.create_personal_token', make_token),
        ('api.actions.tokens.token_digest', make_token),
        ('api.schemas.tokens.ScopeList._serialize', make_token),
        ('api.routes.personal_access_tokens.update_personal_token', change_token),
        ('api.routes.users.register_user', register),
        ('api.actions.users.passwords.hash', register),
        ('api.routes.users.update_account', update_user),
        ('api.routes.users.delete_account', delete_account),
        ('api.routes.users.check_current_password', delete_account),
    ],
)
def test_unhandled_exceptions_log_no_secret(
    anonymous: Client,
    ana: Client,
    secrets: Secrets,
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    bug: str,
    send_request: Callable[..., TestResponse],
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError('a bug')

    monkeypatch.setattr(bug, fail)
    response = send_request(anonymous, ana, secrets.given)
    assert (response.status_code, response.json) == (500, {'error': 'Internal Server Error'})
    assert 'Traceback' in logged()
    assert secrets.found_in(logged()) == []


def test_database_errors_log_no_secret(
    app: Flask,
    anonymous: Client,
    ana: Client,
    secrets: Secrets,
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Messages of the database repeat values, here those that violate a constraint."""
    monkeypatch.setattr('api.actions.tokens.generate_personal_token', lambda: secrets.given['personal'])
    wanted = {'name': 'a name', 'scopes': ['users:read']}
    assert ana.post('/api/me/tokens', json=wanted).status_code == 500
    monkeypatch.setattr('api.actions.users.translate_unique_violation', lambda **values: app.app_context())
    taken = {'username': 'ana', 'email': 'other@example.com', 'password': NEW_SECRET}
    assert anonymous.post('/api/users', json=taken).status_code == 500
    assert logged().count('IntegrityError') >= 2
    assert secrets.found_in(logged()) == []


@pytest.mark.parametrize('path', ['/reset-password/{}', '/{}', '/api/tokens/{}'])
def test_secrets_in_paths_are_not_logged(
    anonymous: Client, ana: Client, secrets: Secrets, logged: Callable[[], str], path: str
) -> None:
    """No route has a secret in its path, but a mail program that breaks a link, or an attacker, may request one."""
    for secret in secrets.given.values():
        for client in (anonymous, ana):
            assert client.get(path.format(secret)).status_code == 404
    assert logged().count('"status": 404') == 8
    assert secrets.found_in(logged()) == []


def failures(text: str) -> list[Exception]:
    """Return the errors that rejected mails raise, with the mail in their messages."""
    reply = text.encode()
    return [
        smtplib.SMTPRecipientsRefused({'ana@example.com': (550, reply)}),
        smtplib.SMTPRecipientsRefused({'ana@example.com': (450, reply)}),
        smtplib.SMTPSenderRefused(451, reply, text),
        smtplib.SMTPDataError(554, reply),
        smtplib.SMTPAuthenticationError(535, reply),
        smtplib.SMTPServerDisconnected(text),
        ConnectionRefusedError(text),
        UnicodeEncodeError('ascii', text, 0, 1, text),
        KeyError(text),
    ]


@pytest.mark.parametrize('number', range(len(failures(''))))
def test_failing_mail_logs_no_secret(
    app: Flask,
    anonymous: Client,
    ana: Client,
    secrets: Secrets,
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    links: list[str] = []

    def fail(recipient: str, subject: str, text: str, html: str) -> None:
        links.extend(re.findall('#([A-Za-z0-9_-]{64})', text))
        raise failures(f'{recipient} {text} {html} {SECRET}')[number]

    monkeypatch.setattr(mailer, 'send', fail)
    anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    assert ana.post('/api/email-verifications').status_code == 202
    deliver(app)
    assert len(links) == 2
    secrets.given |= {'first': links[0], 'second': links[1]}
    assert logged().count('failed: ') == 2
    assert secrets.found_in(logged()) == []
    assert 'ana@example.com' not in logged()
    assert secrets.found_in(dump_rows(app)) == []


def test_database_contains_no_secret(
    app: Flask, anonymous: Client, ana: Client, secrets: Secrets, mails: list[str]
) -> None:
    assert secrets.found_in(dump_rows(app)) == []
    assert verify_email(anonymous, ana, secrets.given).status_code == 204
    assert change_password(anonymous, ana, secrets.given).status_code == 204
    assert secrets.found_in(dump_rows(app)) == []
    mails.clear()
    anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    assert secrets.found_in(dump_rows(app)) == []
    deliver(app)
    (link,) = [link for text in mails for link in re.findall('#([A-Za-z0-9_-]{64})', text)]
    secrets.given['another reset'] = link
    assert anonymous.put('/api/password-resets', json={'token': link, 'new_password': SECRET}).status_code == 204
    secrets.given['another session'] = anonymous.ask_for_token('ana', SECRET).json['token']
    assert len(set(secrets.given.values())) == 6
    assert secrets.found_in(dump_rows(app)) == []


def test_mails_contain_only_their_links(mails: list[str], ana: Client, secrets: Secrets) -> None:
    assert change_password(ana, ana, secrets.given).status_code == 204
    deliver(ana.application)
    assert len(mails) == 3
    assert secrets.found_in('\n'.join(mails)) == [secrets.given['verification'], secrets.given['reset']]


def test_exports_and_listings_contain_no_secret(ana: Client, secrets: Secrets) -> None:
    with ana.get('/api/me/export') as export:
        lines = [json.loads(line) for line in export.text.splitlines()]
    assert {line['kind'] for line in lines} == {'user', 'token'}
    responses = [ana.get(url) for url in ('/api/me', '/api/me/tokens', '/api/tokens', f'/api/users/{ana.id}')]
    assert secrets.found_in(''.join([export.text, *(response.text for response in responses)])) == []
    assert not re.search('digest|seed|password|argon2', json.dumps(lines))


def test_mail_token_is_in_the_url_fragment(mails: list[str], ana: Client) -> None:
    links = [url for text in mails for url in re.findall(r'https?://\S+', text)]
    assert len(links) == 2
    for url in links:
        assert '?' not in url
        assert ana.get(url.partition('#')[0]).status_code == 200


def test_stored_values_do_not_authenticate(app: Flask, anonymous: Client, ana: Client) -> None:
    """No stored value works as a password or as a token."""
    with app.app_context():
        rows = [row for table in db.metadata.sorted_tables for row in db.session.execute(table.select())]
    values = {value.hex() if isinstance(value, bytes) else str(value) for row in rows for value in row}
    for value in values:
        for token in {value, value[:32], f'mb_{value}'[:52]}:
            response = anonymous.get(
                '/api/tokens', headers={'Authorization': f'Bearer {token}'.encode().decode('latin-1')}
            )
            assert response.status_code == 401
    for value in values:
        if value.startswith('$argon2'):
            assert anonymous.ask_for_token('ana', value).status_code == 401
    assert PASSWORD not in values
