"""Tests of passwords, password resets, e-mail verification and disabled accounts."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import NamedTuple

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from api.actions.account_deletion import disable_account, enable_account
from api.actions.passwords import change_password, rehash_password, reset_password
from api.actions.tokens import issue_token
from api.app import create_app
from api.db.session import db
from api.jobs.handlers import run_next_job
from api.jobs.mailer import mailer
from api.models import Job, Token, User
from api.security.passwords import passwords
from support.databases import dump_rows
from tests.concurrency.test_concurrency import at_once
from tests.support.client import PASSWORD, Client, basic

NEW = 'another battery'
STALE = {'error': 'Bad Request', 'message': 'this link is invalid or has expired'}
RESET, PASSWORD_CHANGED = 'Reset your password', 'Your password was changed'
VERIFY, EMAIL_CHANGED = 'Verify your e-mail address', 'Your e-mail address was changed'
DAY = 24 * 3600


class Mail(NamedTuple):
    recipient: str
    subject: str
    text: str
    html: str

    @property
    def link(self):
        """Return the token in the link, which is the same in both parts."""
        (link,) = re.findall(r'http://127\.0\.0\.1:5000/[a-z-]+#\S+', self.text)
        assert f'href="{link}"' in self.html
        return link.partition('#')[2]


@pytest.fixture
def mails(app, monkeypatch):
    """Return a function that runs all due jobs and returns the mails that they sent."""
    sent = []
    monkeypatch.setattr(mailer, 'send', lambda *mail: sent.append(Mail(*mail)))

    def deliver():
        sent.clear()
        with app.app_context():
            while run_next_job():
                pass
            assert not db.session.scalar(select(func.count()).select_from(Job))
        return list(sent)

    return deliver


@pytest.fixture
def reset_link(anonymous, mails):
    """Return a function that requests a password reset and returns the token in the link."""

    def ask(email='ana@example.com'):
        assert anonymous.post('/api/password-resets', json={'email': email}).status_code == 202
        (mail,) = mails()
        return mail.link

    return ask


@pytest.fixture
def verification_link(mails):
    def ask(client):
        assert client.post('/api/email-verifications').status_code == 202
        (mail,) = mails()
        return mail.link

    return ask


def change(client, old=PASSWORD, new=NEW):
    return client.put('/api/me/password', json={'old_password': old, 'new_password': new})


def reset(client, token, password=NEW):
    return client.put('/api/password-resets', json={'token': token, 'new_password': password})


def verify(client, token):
    return client.put('/api/email-verifications', json={'token': token})


def is_stale(response):
    return (response.status_code, response.json) == (400, STALE)


def logs_in(app, password, username='ana'):
    response = app.test_client().ask_for_token(username, password)
    assert response.status_code in (200, 401)
    return response.status_code == 200


def works(app, token):
    client = app.test_client()
    client.token = token
    return client.get('/api/tokens').status_code == 200


def add_personal(app, client, *scopes):
    """Return a client with a new personal access token."""
    made = client.post('/api/me/tokens', json={'name': 'a name', 'scopes': list(scopes or ['users:read'])})
    assert made.status_code == 201
    other = app.test_client()
    other.token, other.id = made.json['token'], client.id
    return other


def number_of_tokens(app):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Token))


def job_types(app):
    with app.app_context():
        return list(db.session.scalars(select(Job.type).order_by(Job.id)))


def user_row(app, id):
    with app.app_context():
        return db.session.execute(select(User.__table__).where(User.id == id)).one()


def disable(app, id):
    with app.app_context():
        disable_account(id)
        db.session.commit()


def change_address(app, id, email):
    """Change the address like a concurrent request."""
    with app.app_context():
        db.session.execute(update(User).where(User.id == id).values(email=email, email_verified=False))
        db.session.commit()


def run_before(monkeypatch, function, action):
    """Run an action just before the next call of the function with this name."""
    module, _, name = function.rpartition('.')
    original = getattr(__import__(module, fromlist=[name]), name)
    actions = [action]

    def call_later(*args, **kwargs):
        if actions:
            actions.pop()()
        return original(*args, **kwargs)

    monkeypatch.setattr(function, call_later)


# Password changes


def test_password_change_is_confirmed_by_mail(app, ana, mails):
    assert change(ana).status_code == 204
    assert (logs_in(app, PASSWORD), logs_in(app, NEW)) == (False, True)
    assert [(mail.recipient, mail.subject) for mail in mails()] == [('ana@example.com', PASSWORD_CHANGED)]


def test_password_change_revokes_other_tokens(app, ana, quick_login, clock):
    clock.move(3550)
    newer = ana.ask_for_token('ana').json['token']
    assert newer != ana.token
    personal, ben = add_personal(app, ana), quick_login('ben')
    assert change(ana).status_code == 204
    assert [works(app, token) for token in (ana.token, newer, personal.token, ben.token)] == [True, False, False, True]
    assert number_of_tokens(app) == 2


def test_personal_token_changing_the_password_stays_valid(app, ana):
    manager, other = add_personal(app, ana, 'account:manage'), add_personal(app, ana)
    assert change(manager).status_code == 204
    assert [works(app, client.token) for client in (manager, other, ana)] == [True, False, False]


@pytest.mark.parametrize('old', ['', 'wrong', PASSWORD.upper(), f'{PASSWORD} ', f'{PASSWORD}\0', PASSWORD[:-1], NEW])
def test_wrong_old_password_changes_nothing(app, ana, old):
    before = dump_rows(app)
    response = change(ana, old=old)
    assert (response.status_code, response.json['errors']) == (400, {'old_password': ['This is not your password.']})
    assert dump_rows(app) == before


@pytest.mark.parametrize('new', ['', 'short', '1234567', 'password', 'PassWord1', 'x' * 129, None, 1, [], {}, True])
def test_weak_new_password_is_rejected(app, ana, new):
    before = dump_rows(app)
    response = change(ana, new=new)
    assert (response.status_code, list(response.json['errors'])) == (400, ['new_password'])
    assert dump_rows(app) == before


@pytest.mark.parametrize('old', [None, 1, [], {}, 'x' * 129, [PASSWORD], {'password': PASSWORD}])
def test_invalid_old_password_is_rejected(app, ana, old):
    before = dump_rows(app)
    response = change(ana, old=old)
    assert (response.status_code, list(response.json['errors'])) == (400, ['old_password'])
    assert dump_rows(app) == before


@pytest.mark.parametrize('missing', ['old_password', 'new_password'])
def test_both_passwords_are_required(ana, missing):
    sent = {'old_password': PASSWORD, 'new_password': NEW}
    del sent[missing]
    response = ana.put('/api/me/password', json=sent)
    assert (response.status_code, list(response.json['errors'])) == (400, [missing])


def test_another_users_password_cannot_be_changed(app, ana, quick_login):
    ben = quick_login('ben')
    sent = {'old_password': PASSWORD, 'new_password': NEW, 'id': ben.id, 'actor': ben.id, 'username': 'ben'}
    assert ana.put('/api/me/password', json=sent).status_code == 204
    assert (logs_in(app, NEW, 'ben'), logs_in(app, PASSWORD, 'ben')) == (False, True)


def test_one_of_two_simultaneous_changes_wins(app, server, ana):
    new_passwords = [f'{NEW} {number}' for number in range(4)]
    bearer = f'Bearer {ana.token}'
    bodies = [{'old_password': PASSWORD, 'new_password': new} for new in new_passwords]
    responses = at_once([lambda b=b: server.ask('PUT', '/api/me/password', b, Authorization=bearer) for b in bodies])
    assert sorted(response.status for response in responses)[0] == 204
    assert {response.status for response in responses} <= {204, 400, 401}
    assert [response.status for response in responses].count(204) == 1
    assert [logs_in(app, new) for new in new_passwords] == [response.status == 204 for response in responses]


# Changes during a login


def change_password_at_version_0(app, id):
    with app.app_context():
        change_password(actor=id, credentials_version=0, token_id=None, password=NEW)
        db.session.commit()


def test_login_overtaken_by_password_change(app, ana, anonymous, monkeypatch):
    run_before(monkeypatch, 'api.routes.tokens.issue_token', lambda: change_password_at_version_0(app, ana.id))
    response = anonymous.ask_for_token('ana')
    assert (response.status_code, response.json) == (401, {'error': 'Unauthorized'})
    assert number_of_tokens(app) == 0


def test_login_overtaken_by_reset(app, ana, anonymous, reset_link, monkeypatch):
    token = reset_link()
    run_before(monkeypatch, 'api.routes.tokens.issue_token', lambda: reset(app.test_client(), token))
    assert anonymous.ask_for_token('ana').status_code == 401
    assert number_of_tokens(app) == 0


def test_login_overtaken_by_deletion(app, ana, anonymous, monkeypatch):
    run_before(monkeypatch, 'api.routes.tokens.issue_token', lambda: disable(app, ana.id))
    assert anonymous.ask_for_token('ana').status_code == 401
    assert number_of_tokens(app) == 0


def test_login_overtaken_by_disable_and_enable(app, ana, anonymous, monkeypatch):
    def disable_and_enable():
        disable(app, ana.id)
        with app.app_context():
            enable_account(ana.id)
            db.session.commit()

    run_before(monkeypatch, 'api.routes.tokens.issue_token', disable_and_enable)
    assert anonymous.ask_for_token('ana').status_code == 401
    assert number_of_tokens(app) == 0
    assert logs_in(app, PASSWORD)


def test_token_issued_during_password_change_is_revoked(app, ana, clock):
    """The token is issued but not committed when the password changes: the change waits for it."""
    clock.move(3600)
    with ThreadPoolExecutor(1) as pool:
        with app.app_context():
            issue_token(actor=ana.id, credentials_version=0)
            changing = pool.submit(change_password_at_version_0, app, ana.id)
            db.session.commit()
        changing.result()
    assert number_of_tokens(app) == 0


def test_change_overtaken_by_change_is_rejected(app, ana, monkeypatch):
    run_before(monkeypatch, 'api.routes.account.change_password', lambda: change_password_at_version_0(app, ana.id))
    response = change(ana, new='a third battery')
    assert (response.status_code, response.json) == (401, {'error': 'Unauthorized'})
    assert logs_in(app, NEW)


def test_deletion_overtaken_by_password_change_is_rejected(app, ana, monkeypatch):
    run_before(monkeypatch, 'api.routes.users.delete_account', lambda: change_password_at_version_0(app, ana.id))
    assert ana.delete(f'/api/users/{ana.id}', json={'password': PASSWORD}).status_code == 401
    assert logs_in(app, NEW)


# Password resets


@pytest.mark.parametrize('email', ['ana@example.com', 'ANA@EXAMPLE.COM', 'Ana@Example.com'])
def test_forgotten_password_is_reset_by_link(app, ana, anonymous, mails, email):
    add_personal(app, ana)
    assert anonymous.post('/api/password-resets', json={'email': email}).status_code == 202
    (mail,) = mails()
    assert (mail.recipient, mail.subject) == ('ana@example.com', RESET)
    assert re.fullmatch('[A-Za-z0-9_-]{64}', mail.link)
    assert reset(anonymous, mail.link).status_code == 204
    assert number_of_tokens(app) == 0
    assert (logs_in(app, PASSWORD), logs_in(app, NEW)) == (False, True)
    assert [(mail.recipient, mail.subject) for mail in mails()] == [('ana@example.com', PASSWORD_CHANGED)]


def test_reset_revokes_all_tokens(app, ana, anonymous, reset_link, quick_login, clock):
    clock.move(3550)
    tokens = [ana.token, ana.ask_for_token('ana').json['token']]
    tokens += [add_personal(app, ana, scope).token for scope in ('users:read', 'account:manage', 'tokens:manage')]
    ben = quick_login('ben')
    assert len(set(tokens)) == 5
    assert reset(anonymous, reset_link()).status_code == 204
    for token in tokens:
        response = anonymous.get('/api/tokens', headers={'Authorization': f'Bearer {token}'})
        assert (response.status_code, response.json) == (401, {'error': 'Unauthorized'})
    assert works(app, ben.token)
    assert number_of_tokens(app) == 1


def test_reset_verifies_the_email(ana, anonymous, reset_link):
    assert ana.get('/api/me').json['email_verified'] is False
    assert reset(anonymous, reset_link()).status_code == 204
    ana.token = ana.ask_for_token('ana', NEW).json['token']
    assert ana.get('/api/me').json['email_verified'] is True


def test_reset_does_not_reveal_known_addresses(app, ana, anonymous, quick_login, mails):
    disable(app, quick_login('off').id)
    addresses = ['ana@example.com', 'unknown@example.com', 'off@example.com', 'ana@example.co', 'x@y']
    responses = [anonymous.post('/api/password-resets', json={'email': email}) for email in addresses]
    contents = {(response.status_code, response.data) for response in responses}
    headers = {
        tuple(pair for pair in response.headers if pair[0] not in ('X-Request-ID', 'Date')) for response in responses
    }
    assert (len(contents), len(headers)) == (1, 1)
    assert [mail.recipient for mail in mails()] == ['ana@example.com']


def test_reset_takes_the_same_queries_for_any_address(ana, anonymous, count_queries):
    with count_queries() as known:
        anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    with count_queries() as unknown:
        anonymous.post('/api/password-resets', json={'email': 'unknown@example.com'})
    assert known == unknown
    assert len(known) == 1


@pytest.mark.parametrize(
    'email',
    [
        None,
        1,
        [],
        ['ana@example.com'],
        {},
        '',
        'ana',
        'ana@example.com\n',
        'ana@example.com, eve@example.com',
        'ana@example.com\r\nBcc: eve@example.com',
        'ana@example.com\0',
        '<ana@example.com>',
        '\N{LATIN SMALL LETTER A WITH ACUTE}na@example.com',
        f'{"a" * 121}@example.com',
    ],
)
def test_invalid_email_is_rejected(app, ana, anonymous, email):
    response = anonymous.post('/api/password-resets', json={'email': email})
    assert (response.status_code, list(response.json['errors'])) == (400, ['email'])
    assert job_types(app) == []


def test_unicode_lookalike_email_is_rejected(app, anonymous, quick_login):
    quick_login('kim')
    response = anonymous.post('/api/password-resets', json={'email': '\N{KELVIN SIGN}im@example.com'})
    assert response.status_code == 400


def test_mail_token_works_once(app, ana, anonymous, reset_link):
    token = reset_link()
    assert reset(anonymous, token).status_code == 204
    assert is_stale(reset(anonymous, token, 'a third battery'))
    assert logs_in(app, NEW)


@pytest.mark.parametrize(('seconds', 'works'), [(599, True), (600, False), (601, False), (DAY, False)])
def test_reset_token_expires_after_ten_minutes(app, ana, anonymous, reset_link, clock, seconds, works):
    token = reset_link()
    clock.move(seconds)
    assert reset(anonymous, token).status_code == (204 if works else 400)
    assert logs_in(app, NEW) is works


def test_reset_token_ends_with_password_change(app, ana, anonymous, reset_link):
    token = reset_link()
    assert change(ana).status_code == 204
    assert is_stale(reset(anonymous, token, 'a third battery'))
    assert logs_in(app, NEW)


def test_reset_token_ends_when_another_is_used(app, ana, anonymous, reset_link):
    tokens = [reset_link() for _ in range(2)]
    assert reset(anonymous, tokens[0]).status_code == 204
    assert is_stale(reset(anonymous, tokens[1], 'a third battery'))


def test_reset_token_ends_with_email_change(app, ana, anonymous, reset_link):
    token = reset_link()
    assert ana.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'}).status_code == 200
    assert is_stale(reset(anonymous, token))
    assert logs_in(app, PASSWORD)


def test_reset_overtaken_by_email_change(app, ana, anonymous, reset_link, monkeypatch):
    """The token is checked, then the address changes, then the password is set."""
    token = reset_link()
    change_email = lambda: change_address(app, ana.id, 'new@example.com')  # noqa: E731
    run_before(monkeypatch, 'api.routes.account.reset_password', change_email)
    assert is_stale(reset(anonymous, token))
    user = user_row(app, ana.id)
    assert (user.email, user.email_verified) == ('new@example.com', False)
    assert logs_in(app, PASSWORD)


def test_reset_overtaken_by_password_change(app, ana, anonymous, reset_link, monkeypatch):
    token = reset_link()
    run_before(monkeypatch, 'api.routes.account.reset_password', lambda: change_password_at_version_0(app, ana.id))
    assert is_stale(reset(anonymous, token, 'a third battery'))
    assert logs_in(app, NEW)


def test_disabled_account_cannot_be_reset(app, ana, anonymous, reset_link, mails):
    token = reset_link()
    disable(app, ana.id)
    assert is_stale(reset(anonymous, token))
    anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    assert mails() == []
    with app.app_context():
        enable_account(ana.id)
        db.session.commit()
    assert is_stale(reset(anonymous, token))
    assert logs_in(app, PASSWORD)


def test_reset_overtaken_by_disable(app, ana, anonymous, reset_link, monkeypatch):
    token = reset_link()
    run_before(monkeypatch, 'api.routes.account.reset_password', lambda: disable(app, ana.id))
    assert is_stale(reset(anonymous, token))
    assert user_row(app, ana.id).disabled_at is not None


def test_one_of_simultaneous_resets_wins(app, server, ana, reset_link):
    token = reset_link()
    new_passwords = [f'{NEW} {number}' for number in range(4)]
    bodies = [{'token': token, 'new_password': new} for new in new_passwords]
    responses = at_once([lambda body=body: server.ask('PUT', '/api/password-resets', body) for body in bodies])
    assert sorted(response.status for response in responses) == [204, 400, 400, 400]
    assert [logs_in(app, new) for new in new_passwords] == [response.status == 204 for response in responses]


def test_weak_password_does_not_use_up_the_token(app, ana, anonymous, reset_link):
    token = reset_link()
    response = reset(anonymous, token, 'password')
    assert (response.status_code, list(response.json['errors'])) == (400, ['new_password'])
    assert reset(anonymous, token).status_code == 204


def test_mail_tokens_are_bound_to_their_purpose(app, ana, anonymous, reset_link, verification_link):
    for_reset, for_verification = reset_link(), verification_link(ana)
    assert is_stale(reset(anonymous, for_verification))
    assert is_stale(verify(anonymous, for_reset))
    assert (logs_in(app, PASSWORD), user_row(app, ana.id).email_verified) == (True, False)


def test_tampered_mail_token_is_rejected(app, ana, anonymous, quick_login, reset_link):
    quick_login('ben')
    token, another = reset_link(), reset_link('ben@example.com')
    wrong = [token[:n] + ('A' if token[n] != 'A' else 'B') + token[n + 1 :] for n in range(64)]
    wrong += [another[:11] + token[11:], another[:22] + token[22:], 'A' * 64, '_' * 64, token[::-1]]
    for tampered in wrong:
        assert is_stale(reset(anonymous, tampered)), tampered
        assert is_stale(verify(anonymous, tampered)), tampered
    assert reset(anonymous, token).status_code == 204


@pytest.mark.parametrize('token', [None, 1, [], {}, True, '', 'x', 'A' * 63, 'A' * 65, 'A' * 63 + '=', 'A' * 64 + '\n'])
def test_malformed_mail_token_is_rejected(anonymous, token):
    for response in (reset(anonymous, token), verify(anonymous, token)):
        assert (response.status_code, list(response.json['errors'])) == (400, ['token'])


def test_mail_token_survives_key_rotation(ana, anonymous, reset_link, load_keys):
    token = reset_link()
    load_keys('k' * 32)
    assert is_stale(reset(anonymous, token))
    load_keys('k' * 32, ('a-sample-key-for-development-only',))
    assert reset(anonymous, token).status_code == 204


# E-mail addresses


def test_registration_mails_a_verification_link(anonymous, make_user, login, mails):
    id = make_user('ben')['id']
    (mail,) = mails()
    assert (mail.recipient, mail.subject) == ('ben@example.com', VERIFY)
    ben = {'Authorization': f'Bearer {anonymous.ask_for_token("ben").json["token"]}'}
    assert anonymous.get(f'/api/users/{id}', headers=ben).json['email_verified'] is False
    for _ in range(2):
        assert verify(anonymous, mail.link).status_code == 204
        assert anonymous.get(f'/api/users/{id}', headers=ben).json['email_verified'] is True


@pytest.mark.parametrize(('seconds', 'works'), [(DAY - 1, True), (DAY, False)])
def test_verification_token_expires_after_a_day(app, ana, anonymous, verification_link, clock, seconds, works):
    token = verification_link(ana)
    clock.move(seconds)
    assert verify(anonymous, token).status_code == (204 if works else 400)
    assert user_row(app, ana.id).email_verified is works


def test_verification_is_bound_to_the_address(app, ana, anonymous, verification_link, mails):
    token = verification_link(ana)
    assert ana.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'}).status_code == 200
    assert is_stale(verify(anonymous, token))
    assert user_row(app, ana.id).email_verified is False
    (mail,) = [mail for mail in mails() if mail.subject == VERIFY]
    assert verify(anonymous, mail.link).status_code == 204
    assert user_row(app, ana.id).email_verified is True


def test_mail_to_an_outdated_address_is_not_sent(ana, mails):
    ana.post('/api/email-verifications')
    ana.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'})
    verifications = [mail.recipient for mail in mails() if mail.subject == VERIFY]
    assert verifications == ['new@example.com']


def test_verified_user_gets_no_more_mail(ana, anonymous, verification_link, mails):
    token = verification_link(ana)
    ana.post('/api/email-verifications')
    verify(anonymous, token)
    response = ana.post('/api/email-verifications')
    assert response.status_code == 202
    assert mails() == []


def test_email_change_is_unverified_and_announced(app, ana, anonymous, verification_link, mails):
    verify(anonymous, verification_link(ana))
    response = ana.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'})
    assert (response.json['email'], response.json['email_verified']) == ('new@example.com', False)
    announced = {(mail.recipient, mail.subject) for mail in mails()}
    assert announced == {('ana@example.com', EMAIL_CHANGED), ('new@example.com', VERIFY)}


@pytest.mark.parametrize('email', ['ana@example.com', 'ANA@example.com'])
def test_unchanged_email_stays_verified(ana, anonymous, verification_link, mails, email):
    verify(anonymous, verification_link(ana))
    response = ana.put(f'/api/users/{ana.id}', json={'email': email})
    assert (response.json['email'], response.json['email_verified']) == (email, True)
    assert mails() == []


def test_email_verified_cannot_be_set(app, ana, anonymous):
    bad = {'email_verified': True, 'credentials_version': 5, 'disabled_at': None, 'password_hash': 'x', 'password': NEW}
    before = user_row(app, ana.id)
    assert ana.put(f'/api/users/{ana.id}', json=bad).status_code == 200
    assert user_row(app, ana.id) == before
    registration = {'username': 'ben', 'email': 'ben@example.com', 'password': PASSWORD}
    id = anonymous.post('/api/users', json=bad | registration).json['id']
    assert (user_row(app, id).email_verified, user_row(app, id).credentials_version) == (False, 0)


def test_only_verified_users_post_if_required(app, settings, mails):
    strict_app = create_app(replace(settings, require_verified_email=True))
    strict_app.test_client_class = Client
    try:
        with strict_app.test_client() as client:
            registration = {'username': 'ben', 'email': 'ben@example.com', 'password': PASSWORD}
            client.id = client.post('/api/users', json=registration).json['id']
            client.token = client.ask_for_token('ben').json['token']
            post_until_verified(client, mails)
    finally:
        with strict_app.app_context():
            db.engine.dispose()


def post_until_verified(client, mails):
    bodies = [{'json': {'text': 'hello'}}, {'json': {}}, {'data': 'nonsense'}, {}, {'json': {'text': 'x' * 281}}]
    for sent in bodies:
        response = client.post('/api/posts', **sent)
        assert (response.status_code, response.json['message']) == (403, 'verify your e-mail address first')
        assert 'WWW-Authenticate' not in response.headers
    assert client.get('/api/posts').json['items'] == []
    (mail,) = mails()
    assert verify(client, mail.link).status_code == 204
    assert [client.post('/api/posts', **sent).status_code for sent in bodies] == [201, 400, 415, 415, 400]
    client.put(f'/api/users/{client.id}', json={'email': 'new@example.com'})
    assert client.post('/api/posts', json={'text': 'hello'}).status_code == 403


def test_everyone_posts_if_not_required(ana):
    assert ana.post('/api/posts', json={'text': 'hello'}).status_code == 201


# Mail of rejected requests


def test_rejected_requests_send_no_mail(app, ana, quick_login, anonymous):
    quick_login('ben')
    refused = [
        anonymous.post('/api/users', json={'username': 'ana', 'email': 'free@example.com', 'password': PASSWORD}),
        anonymous.post('/api/users', json={'username': 'free', 'email': 'ana@example.com', 'password': PASSWORD}),
        ana.put(f'/api/users/{ana.id}', json={'email': 'ben@example.com'}),
        ana.put(f'/api/users/{ana.id}', json={'email': 'free@example.com', 'username': 'ben'}),
        change(ana, old='wrong'),
        reset(anonymous, 'A' * 64),
    ]
    assert [response.status_code for response in refused] == [400] * len(refused)
    assert job_types(app) == []
    assert ana.get('/api/me').json['email'] == 'ana@example.com'


@pytest.mark.parametrize(
    ('where', 'attempt'),
    [
        ('api.routes.account.change_password', change),
        ('api.routes.account.request_verification', lambda ana: ana.post('/api/email-verifications')),
        (
            'api.routes.users.update_account',
            lambda ana: ana.put(f'/api/users/{ana.id}', json={'email': 'new@example.com'}),
        ),
        (
            'api.routes.account.request_password_reset',
            lambda ana: ana.post('/api/password-resets', json={'email': 'ana@example.com'}),
        ),
    ],
)
def test_rolled_back_requests_send_no_mail(app, ana, monkeypatch, caplog, where, attempt):
    module, _, name = where.rpartition('.')
    original = getattr(__import__(module, fromlist=[name]), name)

    def fail_afterwards(**kwargs):
        original(**kwargs)
        raise RuntimeError

    before = dump_rows(app)
    monkeypatch.setattr(where, fail_afterwards)
    monkeypatch.setattr('api.http.errors.log.disabled', True)
    assert attempt(ana).status_code == 500
    assert dump_rows(app) == before


# Password hashes with other parameters


@pytest.fixture
def changed_cost(monkeypatch):
    """Hash with other parameters than those of the stored hashes."""
    monkeypatch.setattr(passwords, '_hasher', PasswordHasher(time_cost=1, memory_cost=16, parallelism=1))


def hash_of(app, id):
    return user_row(app, id).password_hash


def test_login_upgrades_the_hash(app, ana, anonymous, changed_cost):
    before = user_row(app, ana.id)
    assert anonymous.ask_for_token('ana', 'wrong').status_code == 401
    assert hash_of(app, ana.id) == before.password_hash
    assert anonymous.ask_for_token('ana').json['token'] == ana.token
    after = user_row(app, ana.id)
    assert after.password_hash.startswith('$argon2id$v=19$m=16,t=1,p=1$')
    assert after.credentials_version == before.credentials_version
    assert anonymous.ask_for_token('ana').json['token'] == ana.token
    assert hash_of(app, ana.id) == after.password_hash
    assert not logs_in(app, 'wrong')


def test_simultaneous_logins_upgrade_once(app, ana, changed_cost, monkeypatch):
    barrier, hashes = Barrier(2, timeout=60), []

    def rehash_simultaneously(user, password):
        barrier.wait()
        rehash_password(user, password)
        barrier.wait()
        hashes.append(hash_of(app, ana.id))

    monkeypatch.setattr('api.http.auth.rehash_password', rehash_simultaneously)
    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda _: app.test_client().ask_for_token('ana'), range(2)))
    assert [response.status_code for response in responses] == [200, 200]
    assert {response.json['token'] for response in responses} == {ana.token}
    assert hashes == [hash_of(app, ana.id)] * 2
    assert logs_in(app, PASSWORD)


def test_hash_upgrade_does_not_restore_old_password(app, ana, changed_cost, monkeypatch):
    run_before(monkeypatch, 'api.http.auth.rehash_password', lambda: change_password_at_version_0(app, ana.id))
    assert app.test_client().ask_for_token('ana').status_code == 401
    assert (logs_in(app, PASSWORD), logs_in(app, NEW)) == (False, True)
    assert not works(app, ana.token)


# Disabled accounts


def test_disabled_user_gets_the_401_of_a_wrong_password(app, ana, anonymous):
    wrong = anonymous.ask_for_token('ana', 'wrong')
    disable(app, ana.id)
    refused = anonymous.ask_for_token('ana')
    assert (refused.status_code, refused.data) == (wrong.status_code, wrong.data) == (401, b'{"error":"Unauthorized"}')
    assert headers_of(refused) == headers_of(wrong)
    assert not works(app, ana.token)


def headers_of(response):
    return [pair for pair in response.headers if pair[0] not in ('X-Request-ID', 'Date')]


def test_disabled_user_leaves_no_trace(app, ana, anonymous, changed_cost):
    disable(app, ana.id)
    before = dump_rows(app)
    assert anonymous.ask_for_token('ana').status_code == 401
    assert anonymous.get('/api/tokens', headers={'Authorization': f'Bearer {ana.token}'}).status_code == 401
    assert dump_rows(app) == before


def test_enabled_user_logs_in_without_old_tokens(app, ana):
    personal = add_personal(app, ana)
    disable(app, ana.id)
    with app.app_context():
        enable_account(ana.id)
        db.session.commit()
    assert (works(app, ana.token), works(app, personal.token)) == (False, False)
    assert logs_in(app, PASSWORD)


@pytest.mark.parametrize('method', ['PUT', 'POST'])
def test_basic_credentials_cannot_change_the_account(ana, anonymous, method):
    url, body = {
        'PUT': ('/api/me/password', {'old_password': PASSWORD, 'new_password': NEW}),
        'POST': ('/api/email-verifications', None),
    }[method]
    response = anonymous.open(url, method=method, json=body, headers=basic('ana', PASSWORD))
    assert response.status_code == 401


def test_outdated_credentials_version_sets_nothing(app, ana):
    """The action itself changes nothing if the credentials version is outdated."""
    stale = user_row(app, ana.id)
    change_password_at_version_0(app, ana.id)
    with app.app_context(), pytest.raises(Exception, match='invalid or has expired'):
        reset_password(user=stale, password='a third battery')
    assert logs_in(app, NEW)
