"""Job handlers, and the loop step that runs the next job."""

import logging
import smtplib
from collections.abc import Callable
from typing import Any

from flask import current_app, render_template

from api.actions import jobs
from api.actions.account_deletion import delete_batch
from api.actions.idempotency import purge_idempotency_records
from api.actions.passwords import password_reset_state
from api.db.session import db
from api.jobs.mailer import mailer
from api.queries.users import get_user, get_user_by_email
from api.security.mail_tokens import EMAIL_VERIFICATION, PASSWORD_RESET, sign_mail_token

log = logging.getLogger(__name__)


def run_next_job() -> bool:
    """Run the job that has been due longest. Return False if none is due.

    A job is deleted only when it is done: if the worker is killed before that, the job runs again.
    """
    job = jobs.claim_job()
    db.session.commit()
    if job is None:
        return False
    try:
        if job.attempts > jobs.MAX_ATTEMPTS:
            raise RuntimeError('the worker was killed during every attempt')
        finished = HANDLERS[job.type](job)
        jobs.complete_job(job.id) if finished else jobs.requeue_job(job.id)
    except Exception as error:
        db.session.rollback()
        log.warning('job %s (%s) failed: %s', job.id, job.type, describe_error(error))
        jobs.reschedule_job(job.id, attempts=job.attempts, error=describe_error(error), permanent=is_permanent(error))
    db.session.commit()
    return True


def purge() -> None:
    """Delete expired idempotency records."""
    while purge_idempotency_records():
        db.session.commit()
    db.session.commit()


def describe_error(error: Exception) -> str:
    """Return the error type and the SMTP code. The text of SMTP servers is left out, because it contains addresses."""
    code = getattr(error, 'smtp_code', None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
    return f'{type(error).__name__} {code}' if code else type(error).__name__


def is_permanent(error: Exception) -> bool:
    """Return whether the SMTP server would also reject this mail at the next attempt."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500


def send_verification(job: Any) -> bool:
    user = get_user(job.user_id).first()
    if user and user.disabled_at is None and user.email == job.recipient and not user.email_verified:
        link = mail_page_url('verify-email', sign_mail_token(EMAIL_VERIFICATION, user.id, user.email.lower()))
        send_mail(job.type, user.email, username=user.username, link=link)
    return True


def send_password_reset(job: Any) -> bool:
    """Send a reset link if the address has an active account. Requests do not look this up."""
    user = get_user_by_email(job.recipient.lower()).first()
    if user and user.disabled_at is None:
        link = mail_page_url('reset-password', sign_mail_token(PASSWORD_RESET, user.id, password_reset_state(user)))
        send_mail(job.type, user.email, username=user.username, link=link)
    return True


def send_notice(job: Any) -> bool:
    user = get_user(job.user_id).first()
    if user:
        send_mail(job.type, job.recipient, username=user.username)
    return True


def delete_account_batch(job: Any) -> bool:
    return delete_batch(job.user_id)


HANDLERS: dict[str, Callable[[Any], bool]] = {
    jobs.VERIFY_EMAIL: send_verification,
    jobs.RESET_PASSWORD: send_password_reset,
    jobs.PASSWORD_CHANGED: send_notice,
    jobs.EMAIL_CHANGED: send_notice,
    jobs.DELETE_ACCOUNT: delete_account_batch,
}


def send_mail(template: str, recipient: str, **context: Any) -> None:
    """Render and send a mail. The first line of the text template is the subject."""
    # Return the connection to the pool, so that nothing waits for it while the mail is sent.
    db.session.rollback()
    text = render_template(f'mail/{template}.txt', **context)
    subject, _, text = text.partition('\n\n')
    mailer.send(recipient, subject, text, render_template(f'mail/{template}.html', subject=subject, **context))


def mail_page_url(page: str, token: str) -> str:
    """Return the URL of a page with the token in the fragment, which browsers do not send to servers."""
    return f'{current_app.config["PUBLIC_URL"]}/{page}#{token}'
