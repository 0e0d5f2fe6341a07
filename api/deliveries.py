"""What happens outside of requests: one message of the outbox after the other."""

import logging
import smtplib
from collections.abc import Callable
from typing import Any

from flask import current_app, render_template

from api.actions import outbox
from api.actions.answers import forget_answers
from api.actions.leaving import erase_some
from api.actions.links import RESET, VERIFICATION, sign_link
from api.actions.passwords import reset_state
from api.extensions import db, mailer
from api.queries.users import get_user, get_user_by_email

log = logging.getLogger(__name__)


def deliver_next() -> bool:
    """Does what has been due for longest. Whether there was anything.

    A message goes only when it is done: whoever is killed in between leaves it to the next, who does it once more.
    """
    message = outbox.claim_message()
    db.session.commit()
    if message is None:
        return False
    try:
        if message.attempts > outbox.MOST_ATTEMPTS:
            raise RuntimeError('whoever tried was killed each time')
        done = HANDLERS[message.topic](message)
        outbox.finish_message(message.id) if done else outbox.continue_message(message.id)
    except Exception as error:
        db.session.rollback()
        log.warning('message %s (%s) failed: %s', message.id, message.topic, describe(error))
        outbox.postpone_message(message.id, attempts=message.attempts, error=describe(error), final=is_final(error))
    db.session.commit()
    return True


def tidy() -> None:
    """Deletes what was kept for a time that is over."""
    while forget_answers():
        db.session.commit()
    db.session.commit()


def describe(error: Exception) -> str:
    """What kind of error it is; of what servers say only the code, because they repeat addresses."""
    code = getattr(error, 'smtp_code', None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
    return f'{type(error).__name__} {code}' if code else type(error).__name__


def is_final(error: Exception) -> bool:
    """Whether the server will not take this mail the next time either."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500


def verify_email(message: Any) -> bool:
    user = get_user(message.user_id).first()
    if user and user.disabled_at is None and user.email == message.recipient and not user.email_verified:
        link = page_url('verify-email', sign_link(VERIFICATION, user.id, user.email.lower()))
        mail(message.topic, user.email, username=user.username, link=link)
    return True


def reset_password(message: Any) -> bool:
    """Only here it is found out whether the address is anybody's."""
    user = get_user_by_email(message.recipient.lower()).first()
    if user and user.disabled_at is None:
        link = page_url('reset-password', sign_link(RESET, user.id, reset_state(user)))
        mail(message.topic, user.email, username=user.username, link=link)
    return True


def tell(message: Any) -> bool:
    user = get_user(message.user_id).first()
    if user:
        mail(message.topic, message.recipient, username=user.username)
    return True


def erase_account(message: Any) -> bool:
    return erase_some(message.user_id)


HANDLERS: dict[str, Callable[[Any], bool]] = {
    outbox.VERIFY_EMAIL: verify_email,
    outbox.RESET_PASSWORD: reset_password,
    outbox.PASSWORD_CHANGED: tell,
    outbox.EMAIL_CHANGED: tell,
    outbox.ERASE_ACCOUNT: erase_account,
}


def mail(template: str, recipient: str, **facts: Any) -> None:
    """Sends a mail whose template says its subject in the first line of the text."""
    # What was read is read; nobody waits for this connection while the mail goes out.
    db.session.rollback()
    text = render_template(f'mail/{template}.txt', **facts)
    subject, _, text = text.partition('\n\n')
    mailer.send(recipient, subject, text, render_template(f'mail/{template}.html', subject=subject, **facts))


def page_url(page: str, token: str) -> str:
    """The token is behind the #, which browsers keep to themselves."""
    return f'{current_app.config["PUBLIC_URL"]}/{page}#{token}'
