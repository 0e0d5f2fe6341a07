"""`flask jobs` counts pending jobs, lists failed ones and retries them."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from api.actions.jobs import RESET_PASSWORD, enqueue
from api.clock import utcnow
from api.db.session import db
from api.jobs.handlers import run_next_job
from api.models import Job
from tests.support.smtp import MailServer, mail_delivered_to


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server, mail_delivered_to(server):
        yield server


@pytest.fixture
def outbox(app: Flask) -> Callable[..., Result]:
    def run(*options: str) -> Result:
        result = app.test_cli_runner().invoke(args=['jobs', *options])
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture
def readers(login) -> list[str]:
    return [f'{name}@example.com' for name in ('ana', 'ben', 'cleo') if login(name)]


def enqueue_mails(app: Flask, addresses: list[str]) -> None:
    with app.app_context():
        for address in addresses:
            enqueue(RESET_PASSWORD, recipient=address)
        db.session.commit()


def deliver(app: Flask) -> int:
    done = 0
    with app.app_context():
        while run_next_job():
            done += 1
    return done


def test_empty_job_queue(outbox):
    assert outbox().output == '0 jobs pending\n'
    assert outbox('--retry').output == '0 failed jobs will be retried\n0 jobs pending\n'


def test_pending_jobs_are_counted_failed_ones_listed(app, outbox, readers, mail_server):
    enqueue_mails(app, readers)
    assert outbox().output == '3 jobs pending\n'
    responses = iter(
        ['554 ana@example.com is unknown', '451 ben@example.com is away', '550 cleo@example.com is unknown']
    )
    mail_server.answers = {'DATA': lambda: next(responses)}
    assert deliver(app) == 3
    waiting, *failed = outbox().output.splitlines()
    with app.app_context():
        rows = db.session.execute(select(Job.id, Job.created_at).order_by(Job.id)).all()
    facts = [(rows[0], 'ana', 554), (rows[2], 'cleo', 550)]
    assert waiting == '1 jobs pending'
    assert failed == [
        f'{row.id}  reset_password  {name}@example.com  {row.created_at:%Y-%m-%d %H:%M}  SMTPDataError {code}'
        for row, name, code in facts
    ]


def test_failed_jobs_are_retried(app, outbox, readers, mail_server):
    enqueue_mails(app, readers)
    mail_server.answers = {'RCPT': '550 no such user'}
    deliver(app)
    assert outbox('--retry').output == '3 failed jobs will be retried\n3 jobs pending\n'
    deliver(app)
    assert outbox('--retry').output == '3 failed jobs will be retried\n3 jobs pending\n'
    mail_server.answers = {}
    assert deliver(app) == 3
    assert outbox('--retry').output == '0 failed jobs will be retried\n0 jobs pending\n'
    assert sorted(mail_server.recipients) == readers


def test_retried_jobs_have_all_attempts_again(app, outbox, readers, mail_server):
    enqueue_mails(app, readers[:1])
    mail_server.answers = {'DATA': '550 no'}
    deliver(app)
    outbox('--retry')
    mail_server.answers = {'DATA': '450 later'}
    deliver(app)
    assert outbox().output == '1 jobs pending\n'
    with app.app_context():
        assert db.session.scalar(select(Job.attempts)) == 1


def test_retry_does_not_make_pending_jobs_due(app, outbox, readers, mail_server):
    enqueue_mails(app, readers)
    mail_server.answers = {'DATA': '450 later'}
    deliver(app)
    assert outbox('--retry').output == '0 failed jobs will be retried\n3 jobs pending\n'
    with app.app_context():
        assert min(db.session.scalars(select(Job.due_at)).all()) > utcnow()
    assert deliver(app) == 0
