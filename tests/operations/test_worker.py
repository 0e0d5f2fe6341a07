"""Delivery of mail from the request to a real SMTP server, despite crashes and outages."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import delete, exists, insert, make_url, select, update

from api.actions import jobs
from api.actions.jobs import EMAIL_CHANGED, LEASE, MAX_ATTEMPTS, PASSWORD_CHANGED, RESET_PASSWORD, VERIFY_EMAIL, enqueue
from api.clock import utcnow
from api.db.engine import autocommit_engine
from api.db.session import db
from api.jobs.handlers import run_next_job
from api.models import Job, User
from config import Settings
from support import databases, process_groups
from support.process_groups import WAIT_TIMEOUT, wait_until
from support.servers import ROOT, Server, start_server
from tests.support.client import PASSWORD, Client
from tests.support.smtp import ACCEPT, DROP, HANG, MailServer, Proxy, mail_delivered_to, make_certificates

MANY = 100
WORKER = ('-m', 'api.server.worker')
HASTY_WORKER = ('-c', 'from api.server import worker; worker.RETRY_INTERVAL = 0.2; worker.main()')
# Longer than any test: what these two do in time, they do not do because a timeout ended.
PATIENT_WORKER = (
    '-c',
    'from api.jobs import mailer; from api.server import worker; mailer.SMTP_TIMEOUT = 3600; worker.main()',
)
IDLE_WORKER = ('-c', 'from api.server import worker; worker.POLL_INTERVAL = 3600; worker.main()')
ANOTHER_PASSWORD = 'staple battery horse'
OTHERS_ADDRESS = 'ben@example.com'
MAIL_LINES = ['MAIL_FROM', 'MAIL_PORT', 'MAIL_SECURITY']


class Worker(NamedTuple):
    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def log(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode()

    def kill(self) -> None:
        process_groups.kill(self.process)

    def wait(self) -> int:
        return self.process.wait(WAIT_TIMEOUT)


def mail_settings(mail_server: MailServer, **others: str) -> dict[str, str]:
    return {'MAIL_SERVER': '127.0.0.1', 'MAIL_PORT': str(mail_server.port), 'MAIL_SECURITY': 'none'} | others


@contextmanager
def working(
    database_url: str, mail_server: MailServer, arguments: tuple[str, ...] = WORKER, **settings: str
) -> Iterator[Worker]:
    """Start `python -m api.server.worker`, yield it, and stop it afterwards."""
    environment = {'ENVIRONMENT': 'development', 'DATABASE_URL': database_url, **mail_settings(mail_server, **settings)}
    with tempfile.TemporaryFile() as errors:
        command = [sys.executable, *arguments]
        process = process_groups.start(command, cwd=ROOT, env=os.environ | environment, stderr=errors)
        try:
            yield Worker(process, errors)
        finally:
            process_groups.stop(process)


def rows(app: Flask) -> list[Any]:
    """Return the jobs, read without a lock that a worker would wait for."""
    with app.app_context(), autocommit_engine(db.engine).connect() as connection:
        return list(connection.execute(select(*Job.__table__.columns).order_by(Job.id)).all())


def all_done(app: Flask) -> bool:
    with app.app_context(), autocommit_engine(db.engine).connect() as connection:
        return not connection.scalar(select(exists().where(Job.id.is_not(None))))


def execute(app: Flask, *statements: Any) -> None:
    with app.app_context():
        for statement in statements:
            assert db.session.connection().execute(statement).rowcount > 0
        db.session.commit()


def make_jobs_due(app: Flask) -> None:
    """Make all jobs due, except those that have failed permanently."""
    execute(app, update(Job).where(Job.due_at.is_not(None)).values(due_at=utcnow()))


def enqueue_mails(app: Flask, count: int, name: str = 'reader') -> set[str]:
    """Insert `count` users, enqueue a verification mail for each, and return their addresses."""
    names = [f'{name}{number}' for number in range(count)]
    users = [
        {'username': name, 'email': f'{name}@example.com', 'password_hash': '', 'created_at': utcnow()}
        for name in names
    ]
    with app.app_context():
        made = db.session.execute(insert(User).returning(User.id, User.email), users).all()
        for user in made:
            enqueue(VERIFY_EMAIL, recipient=user.email, user_id=user.id)
        db.session.commit()
    return {user.email for user in made}


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def deliver(app: Flask, mail_server: MailServer) -> Iterator[Callable[[], int]]:
    """Yield a function that runs all due jobs in this process and returns their number."""

    def deliver_all() -> int:
        done = 0
        with app.app_context():
            while run_next_job():
                done += 1
        return done

    with mail_delivered_to(mail_server):
        yield deliver_all


class Clock:
    def __init__(self) -> None:
        self.now = utcnow()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr('api.actions.jobs.utcnow', clock)
    return clock


def kill_at(number: int, worker: Worker, mail_server: MailServer) -> Callable[[], Any]:
    """Return a response function that kills the worker, which waits for the response, after this many mails."""

    def response() -> Any:
        if len(mail_server.mails) == number:
            worker.kill()
        return ACCEPT

    return response


@pytest.mark.process
def test_killed_worker_loses_no_mail_and_idle_one_stops(
    app: Flask, settings: Settings, mail_server: MailServer
) -> None:
    people = enqueue_mails(app, MANY)
    # Killed at DATA, the mail is accepted by the server; killed at RCPT, it is not. The worker cannot tell.
    for command, number in (('DATA', 30), ('RCPT', 70)):
        with working(settings.database_url, mail_server) as worker:
            mail_server.answers = {command: kill_at(number, worker, mail_server)}
            assert worker.wait() == -signal.SIGKILL
        (held,) = [row for row in rows(app) if row.attempts]
        assert held.due_at > utcnow() + LEASE / 2
        make_jobs_due(app)
    mail_server.answers = {}
    with working(settings.database_url, mail_server, IDLE_WORKER) as worker:
        # An idle worker holds no connection to the mail server.
        wait_until(lambda: mail_server.heard.endswith(b'quit\r\n') and all_done(app))
        worker.process.send_signal(signal.SIGINT)
        assert worker.wait() == 0
    times = Counter(mail_server.recipients)
    assert set(times) == people
    assert len(mail_server.mails) <= MANY + 2
    assert max(times.values()) <= 2


@pytest.mark.process
def test_two_workers_send_nothing_twice(app: Flask, settings: Settings, mail_server: MailServer) -> None:
    people = enqueue_mails(app, MANY)

    async def accept_when_both_are_connected() -> Any:
        await mail_server.pause()  # so that both workers have time to claim jobs
        while mail_server.connections < 2:
            await mail_server.pause()
        return ACCEPT

    mail_server.answers = {'DATA': accept_when_both_are_connected}
    with working(settings.database_url, mail_server), working(settings.database_url, mail_server):
        wait_until(lambda: all_done(app))
    assert sorted(mail_server.recipients) == sorted(people)
    assert min(Counter(mail.client for mail in mail_server.mails).values()) > len(people) / 10


def register(server: Server, name: str) -> None:
    response = server.ask(
        'POST', '/api/users', {'username': name, 'email': f'{name}@example.com', 'password': PASSWORD}
    )
    assert response.status == 201, response


@pytest.mark.process
def test_requests_do_not_wait_for_mail(app: Flask, settings: Settings, mail_server: MailServer, deliver: Any) -> None:
    names = ['ana', 'ben', 'cleo', 'dora', 'emil']
    mail_server.answers = {'DATA': HANG}
    with (
        start_server(settings.database_url, **mail_settings(mail_server)) as server,
        working(settings.database_url, mail_server, PATIENT_WORKER) as worker,
    ):
        register(server, 'susan')
        wait_until(lambda: b'susan' in mail_server.heard)
        for name in names:
            register(server, name)
        # The worker still waits for the response to its first mail, so no request has waited for the worker.
        assert (mail_server.connections, len(mail_server.open)) == (1, 1)
        worker.kill()
        process_groups.kill(server.process)
    assert mail_server.mails == []
    assert len(rows(app)) == 6
    mail_server.answers = {}
    make_jobs_due(app)
    assert deliver() == 6
    assert sorted(mail_server.recipients) == [f'{name}@example.com' for name in [*names, 'susan']]


@pytest.mark.process
def test_stopped_worker_finishes_its_mail(app: Flask, settings: Settings, mail_server: MailServer) -> None:
    enqueue_mails(app, 5)

    def stop_at_the_second() -> Any:
        if len(mail_server.mails) == 1:
            worker.process.terminate()  # the signal arrives before the response
        return ACCEPT

    with working(settings.database_url, mail_server) as worker:
        mail_server.answers = {'DATA': stop_at_the_second}
        assert worker.wait() == 0
        assert worker.log() == ''
    assert len(mail_server.mails) == 2
    assert mail_server.heard.endswith(b'quit\r\n')
    assert [row.attempts for row in rows(app)] == [0] * 3


class Detour(NamedTuple):
    """Another URL of the database, unreachable until `start` is called."""

    url: str
    start: Callable[[], None]
    stop: Callable[[], None] | None = None


@contextmanager
def detour(database_url: str, folder: Path) -> Iterator[Detour]:
    url = make_url(database_url)
    if url.get_backend_name() == 'sqlite':
        file, route = Path(url.database or ''), folder / 'route'
        # An open file cannot be made unreachable, so there is no `stop`.
        yield Detour(f'sqlite:///{route / file.name}', lambda: route.symlink_to(file.parent))
        return
    with Proxy(url.port or 5432) as proxy:
        proxy.stop()
        yield Detour(url.set(port=proxy.port).render_as_string(hide_password=False), proxy.start, proxy.stop)


@pytest.mark.process
def test_worker_waits_for_the_database(app: Flask, settings: Settings, mail_server: MailServer, tmp_path: Path) -> None:
    def wait_for_errors() -> None:
        before = worker.log().count('the database does not respond')
        wait_until(lambda: worker.log().count('the database does not respond') > before + 1)

    people = enqueue_mails(app, 1)
    with (
        detour(settings.database_url, tmp_path) as route,
        working(route.url, mail_server, HASTY_WORKER) as worker,
    ):
        wait_for_errors()
        assert mail_server.connections == 0
        route.start()
        wait_until(lambda: all_done(app))
        if route.stop:
            route.stop()
            wait_for_errors()
            people |= enqueue_mails(app, 2, 'late')
            route.start()
            wait_until(lambda: all_done(app))
    assert sorted(mail_server.recipients) == sorted(people)
    assert worker.process.returncode == 0


@pytest.mark.process
@pytest.mark.parametrize(
    ('values', 'lines'),
    [
        ({'MAIL_PORT': '0', 'MAIL_SECURITY': 'ssl', 'MAIL_FROM': 'a@example.com\nBcc: b@example.com'}, MAIL_LINES),
        ({'ENVIRONMENT': 'production', 'SECRET_KEY': 'k' * 32}, ['MAIL_SERVER', 'PUBLIC_URL']),
        ({'PUBLIC_URL': 'http://['}, ['PUBLIC_URL']),
    ],
)
def test_wrong_settings_are_reported_by_line(values: dict[str, str], lines: list[str]) -> None:
    environment = os.environ | {'ENVIRONMENT': 'development'} | values
    command = [sys.executable, *WORKER]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT_TIMEOUT, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, '')
    assert sorted(line.split(':')[0] for line in ran.stderr.splitlines()) == lines


@pytest.mark.process
def test_worker_verifies_the_certificate(app: Flask, settings: Settings, tmp_path: Path) -> None:
    (recipient,) = enqueue_mails(app, 1)
    certificates = make_certificates(tmp_path)
    trusted = tmp_path / 'trusted.pem'
    login = {'MAIL_SECURITY': 'starttls', 'MAIL_USERNAME': 'blog', 'MAIL_PASSWORD': 'unlikely7secret'}
    with (
        MailServer(certificates.here, login=('blog', 'unlikely7secret')) as mail_server,
        working(settings.database_url, mail_server, SSL_CERT_FILE=str(trusted), **login) as worker,
    ):
        wait_until(lambda: rows(app)[0].error)
        (row,) = rows(app)
        assert row.error == 'SSLCertVerificationError'
        assert worker.log().rstrip().endswith(f'job {row.id} (verify_email) failed: SSLCertVerificationError')
        assert mail_server.mails == []
        assert not re.search(b'auth|mail|example', mail_server.heard, re.IGNORECASE)
        trusted.write_bytes(certificates.authority.read_bytes())
        make_jobs_due(app)
        wait_until(lambda: all_done(app))
    (mail,) = mail_server.mails
    assert (mail.recipients, mail.login) == ([recipient], 'blog')


def test_rolled_back_jobs_send_no_mail(
    app: Flask, make_user: Any, login: Any, mail_server: MailServer, deliver: Any
) -> None:
    ana, ben = login('ana'), login('ben')
    taken = {'username': 'cleo', 'email': 'BEN@example.com', 'password': PASSWORD}
    assert ana.post('/api/users', json=taken).status_code == 400
    assert ana.put(f'/api/users/{ana.id}', json={'email': 'ben@example.com'}).status_code == 400
    assert ben.put('/api/me/password', json={'old_password': 'wrong', 'new_password': PASSWORD}).status_code == 400
    assert rows(app) == []
    assert ana.put(f'/api/users/{ana.id}', json={'email': 'cleo@example.com'}).status_code == 200
    assert deliver() == 2
    assert sorted(mail_server.recipients) == ['ana@example.com', 'cleo@example.com']


TEMPORARY_FAILURES = [
    ('CONNECT', '421 too many'),
    ('CONNECT', '554 no service'),
    ('CONNECT', HANG),
    ('CONNECT', DROP),
    ('MAIL', '451 later'),
    ('MAIL', '550 not from you'),  # a wrong setting rather than a wrong mail
    ('RCPT', '450 greylisted'),
    ('RCPT', DROP),
    ('DATA', '452 full'),
    ('DATA', HANG),
    ('DATA', DROP),
    ('DATA', '421 good bye'),
]


@pytest.mark.parametrize(('command', 'response'), TEMPORARY_FAILURES)
def test_temporary_failures_are_retried(
    app: Flask,
    mail_server: MailServer,
    deliver: Any,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    response: str,
) -> None:
    monkeypatch.setattr('api.jobs.mailer.SMTP_TIMEOUT', 0.2)
    people = enqueue_mails(app, 2)
    mail_server.answers = {command: response}
    assert deliver() == 2
    assert [(row.attempts, row.due_at - clock.now) for row in rows(app)] == [(1, timedelta(seconds=30))] * 2
    assert mail_server.mails == []
    mail_server.answers = {}
    clock.now += timedelta(seconds=29)
    assert deliver() == 0
    clock.now += timedelta(seconds=1)
    assert deliver() == 2
    assert rows(app) == []
    assert sorted(mail_server.recipients) == sorted(people)


def test_backoff_grows_and_ends_after_twenty_attempts(
    app: Flask, mail_server: MailServer, deliver: Any, clock: Clock
) -> None:
    enqueue_mails(app, 1)
    mail_server.stop()
    pauses = []
    for _ in range(MAX_ATTEMPTS - 1):
        assert deliver() == 1
        (row,) = rows(app)
        assert row.error == 'ConnectionRefusedError'
        pauses.append((row.due_at - clock.now).total_seconds())
        clock.now = row.due_at
    assert pauses == [30, 60, 120, 240, 480, 960, 1920] + [3600] * 12
    assert deliver() == 1
    (row,) = rows(app)
    assert (row.due_at, row.attempts, row.error) == (None, 20, 'ConnectionRefusedError')
    mail_server.start()
    clock.now += timedelta(days=1)
    assert deliver() == 0


@pytest.mark.parametrize(
    ('command', 'response', 'error'),
    [
        ('RCPT', '550 no such user', 'SMTPRecipientsRefused 550'),
        ('DATA', '554 spam', 'SMTPDataError 554'),
    ],
)
def test_permanent_failures_are_not_retried(
    app: Flask, mail_server: MailServer, deliver: Any, command: str, response: str, error: str
) -> None:
    enqueue_mails(app, 1)
    mail_server.answers = {command: response}
    assert deliver() == 1
    (row,) = rows(app)
    assert (row.due_at, row.attempts) == (None, 1)
    mail_server.answers = {}
    assert deliver() == 0
    assert mail_server.mails == []
    assert row.error == error


def test_rejected_mail_does_not_block_others(app: Flask, mail_server: MailServer, deliver: Any, clock: Clock) -> None:
    people = enqueue_mails(app, 9)
    mail_server.answers = {'RCPT': lambda: ACCEPT if len(mail_server.mails) != 4 else '450 later'}
    assert deliver() == 9
    assert len(mail_server.mails) == 4
    mail_server.answers = {}
    clock.now += timedelta(minutes=1)
    assert deliver() == 5
    assert sorted(mail_server.recipients) == sorted(people)


def test_mail_link_works(
    app: Flask,
    anonymous: Client,
    make_user: Any,
    mail_server: MailServer,
    deliver: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, 'PUBLIC_URL', 'https://blog.example.com')
    ana = make_user('ana', email='Ana@Example.com')
    deliver()
    assert anonymous.post('/api/password-resets', json={'email': 'aNA@example.com'}).status_code == 202
    deliver()
    verification, reset = mail_server.mails
    assert [mail.recipients for mail in mail_server.mails] == [['Ana@Example.com']] * 2
    assert [mail.message['Subject'] for mail in mail_server.mails] == [
        'Verify your e-mail address',
        'Reset your password',
    ]

    token = token_of(verification, 'verify-email')
    wanted = {'token': token, 'new_password': PASSWORD}
    assert anonymous.put('/api/password-resets', json=wanted).status_code == 400
    assert anonymous.put('/api/email-verifications', json={'token': token}).status_code == 204
    with app.app_context():
        assert db.session.get(User, ana['id']).email_verified

    token = token_of(reset, 'reset-password')
    wanted = {'token': token, 'new_password': ANOTHER_PASSWORD}
    assert anonymous.put('/api/email-verifications', json={'token': token}).status_code == 400
    assert [anonymous.put('/api/password-resets', json=wanted).status_code for _ in range(2)] == [204, 400]
    tries = [anonymous.ask_for_token('ana', password).status_code for password in (PASSWORD, ANOTHER_PASSWORD)]
    assert tries == [401, 200]
    deliver()
    assert [mail.message['Subject'] for mail in mail_server.mails[2:]] == ['Your password was changed']


def token_of(mail: Any, page: str) -> str:
    """Return the token of the link, which is the same in both parts."""
    match = re.fullmatch(rf'https://blog\.example\.com/{page}#([A-Za-z0-9_-]{{64}})', mail.link)
    assert match
    assert re.findall('href="(.*?)"', mail.part('html')) == [mail.link]
    return match[1]


@pytest.mark.parametrize(
    ('job_type', 'subject'),
    [
        (VERIFY_EMAIL, 'Verify your e-mail address'),
        (RESET_PASSWORD, 'Reset your password'),
        (PASSWORD_CHANGED, 'Your password was changed'),
        (EMAIL_CHANGED, 'Your e-mail address was changed'),
    ],
)
def test_mails_greet_the_user_in_both_parts(
    app: Flask, login: Any, mail_server: MailServer, deliver: Any, job_type: str, subject: str
) -> None:
    enqueue_mail(app, job_type, login('ana').id)
    assert deliver() == 1
    (mail,) = mail_server.mails
    assert (mail.recipients, mail.message['Subject']) == (['ana@example.com'], subject)
    assert mail.part('plain').startswith('Hello ana,\n')
    assert f'<title>{subject}</title>' in mail.part('html')
    assert '<p>Hello ana,</p>' in mail.part('html')
    assert '{' not in mail.part('plain') + mail.part('html')


def enqueue_mail(app: Flask, job_type: str, user_id: int) -> None:
    with app.app_context():
        enqueue(job_type, recipient='ana@example.com', user_id=None if job_type == RESET_PASSWORD else user_id)
        db.session.commit()


@pytest.mark.parametrize(
    ('job_type', 'change'),
    [
        (VERIFY_EMAIL, update(User).values(email_verified=True)),
        (VERIFY_EMAIL, update(User).values(email=OTHERS_ADDRESS)),
        (VERIFY_EMAIL, update(User).values(disabled_at=utcnow())),
        (VERIFY_EMAIL, delete(User)),
        (RESET_PASSWORD, update(User).values(email=OTHERS_ADDRESS)),
        (RESET_PASSWORD, update(User).values(disabled_at=utcnow())),
        (RESET_PASSWORD, delete(User)),
        (PASSWORD_CHANGED, delete(User)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value).replace('\n', ''),
)
def test_obsolete_mail_is_not_sent(
    app: Flask, login: Any, mail_server: MailServer, deliver: Any, job_type: str, change: Any
) -> None:
    enqueue_mail(app, job_type, login('ana').id)
    execute(app, change)
    deliver()
    assert (rows(app), mail_server.recipients, mail_server.connections) == ([], [], 0)


def test_user_deleted_meanwhile_gets_no_mail(
    app: Flask, login: Any, mail_server: MailServer, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = jobs.claim_job

    def claim_then_delete_user() -> Any:
        message = claim()
        db.session.execute(delete(User))
        return message

    monkeypatch.setattr(jobs, 'claim_job', claim_then_delete_user)
    enqueue_mail(app, PASSWORD_CHANGED, login('ana').id)
    assert deliver() == 1
    assert (rows(app), mail_server.connections) == ([], 0)


def test_job_that_kills_its_worker_is_given_up(app: Flask, login: Any, mail_server: MailServer, deliver: Any) -> None:
    enqueue_mail(app, PASSWORD_CHANGED, login('ana').id)
    execute(app, update(Job).values(attempts=MAX_ATTEMPTS))
    assert deliver() == 1
    (row,) = rows(app)
    assert (row.due_at, row.error, mail_server.connections) == (None, 'RuntimeError', 0)


def test_unknown_address_gets_no_mail(app: Flask, anonymous: Client, mail_server: MailServer, deliver: Any) -> None:
    assert anonymous.post('/api/password-resets', json={'email': 'unknown@example.com'}).status_code == 202
    assert deliver() == 1
    assert (rows(app), mail_server.connections) == ([], 0)


INJECTIONS = [
    'ana@example.com\r\nBcc: mallory@example.com',
    'ana@example.com\nBcc: mallory@example.com',
    'ana@example.com\r',
    'ana@example.com\n',
    '\nana@example.com',
    'ana\r\n@example.com',
    'ana@example.com, mallory@example.com',
    'ana@example.com>',
    '"ana"@example.com',
    'änä@example.com',
    '=?utf-8?q?mallory?=@example.com',
    '=?utf-8?q?mallory=40example.org=2Cana?=@example.com',
    '=?utf-8?q?a=0D=0ABcc=3A_mallory?=@example.com',
]


@pytest.mark.parametrize('address', INJECTIONS)
def test_header_injection_is_rejected(app: Flask, login: Any, address: str) -> None:
    ben = login('ben')
    responses = [
        ben.post('/api/users', json={'username': 'ana', 'email': address, 'password': PASSWORD}),
        ben.put(f'/api/users/{ben.id}', json={'email': address}),
        ben.post('/api/password-resets', json={'email': address}),
    ]
    assert [response.status_code for response in responses] == [400] * 3
    assert rows(app) == []


def test_jobs_contain_no_secret(
    app: Flask, make_user: Any, anonymous: Client, mail_server: MailServer, deliver: Any
) -> None:
    make_user('ana')
    anonymous.post('/api/password-resets', json={'email': 'ana@example.com'})
    expected = {'id', 'type', 'user_id', 'recipient', 'created_at', 'due_at', 'attempts', 'error'}
    assert set(rows(app)[0]._mapping) == expected
    dumps = [databases.dump_rows(app)]
    mail_server.answers = {'DATA': '452 ana@example.com and everything that ana@example.com was to read'}
    deliver()
    assert {row.error for row in rows(app)} == {'SMTPDataError 452'}
    dumps.append(databases.dump_rows(app))
    tokens = re.findall('#(?:3D)?([A-Za-z0-9_-]{20})', mail_server.heard.decode().replace('=\r\n', ''))
    mail_server.answers = {}
    make_jobs_due(app)
    deliver()
    tokens += [mail.link.partition('#')[2] for mail in mail_server.mails]
    assert len(tokens) >= 6
    dumps.append(databases.dump_rows(app))
    assert not [secret for secret in [*tokens, PASSWORD] for dump in dumps if secret in dump]
