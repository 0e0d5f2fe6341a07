"""Registration and changes of accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from api.actions.jobs import EMAIL_CHANGED, VERIFY_EMAIL, enqueue
from api.actions.rows import best_effort, lock_user
from api.actions.tokens import record_scope_use
from api.clock import utcnow
from api.db.session import current_connection, db
from api.errors import ApiError, InsufficientScopeError, UnauthorizedError
from api.models import TableCount, User
from api.problems import EMAIL_TAKEN, USERNAME_TAKEN
from api.security.mail_tokens import EMAIL_VERIFICATION, MailToken
from api.security.passwords import passwords

LAST_SEEN_INTERVAL = timedelta(minutes=1)
LAST_WRITE_INTERVAL = timedelta(seconds=10)


def register_user(*, username: str, email: str, password: str, about_me: str | None = None) -> int:
    """Create an account and return its id. Raise ApiError if the username or e-mail address is taken."""
    password_hash = passwords.hash(password)
    with translate_unique_violation(username=username, email=email):
        user_id = db.session.execute(
            insert(User)
            .values(username=username, email=email, password_hash=password_hash, about_me=about_me, created_at=utcnow())
            .returning(User.id)
        ).scalar_one()
    enqueue(VERIFY_EMAIL, recipient=email, user_id=user_id)
    # Last, because every registration on the server waits for this row until the transaction ends.
    db.session.execute(
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count + 1)
    )
    return user_id


def update_account(*, actor: int, may_change_email: bool, token_id: int | None = None, **changes: Any) -> None:
    """Change the actor's own account: username, email, about_me.

    A new e-mail address is unverified; a mail goes to the old and the new address. token_id: the id of the personal
    access token used; None for session tokens, whose use is not tracked. Raise InsufficientScopeError if the e-mail
    address may not be changed, ApiError if a name or address is taken, UnauthorizedError if the account is disabled.
    """
    if not changes:
        return
    if 'email' in changes and (old_email := lock_and_get_email(actor)).lower() != changes['email'].lower():
        if not may_change_email:
            raise InsufficientScopeError('account:manage')
        if token_id is not None:
            record_scope_use(token_id, 'account:manage')
        enqueue(EMAIL_CHANGED, recipient=old_email, user_id=actor)
        enqueue(VERIFY_EMAIL, recipient=changes['email'], user_id=actor)
        changes['email_verified'] = False
    with translate_unique_violation(except_user=actor, **changes):
        statement = update(User).where(User.id == actor, User.disabled_at.is_(None)).values(changes)
        if not db.session.connection().execute(statement).rowcount:
            raise UnauthorizedError


def lock_and_get_email(actor: int) -> str:
    """Lock the actor's row until the transaction ends and return the e-mail address.

    Raise UnauthorizedError if the account is deleted or disabled.
    """
    statement = select(User.email).where(User.id == actor, User.disabled_at.is_(None))
    email = db.session.scalar(statement.with_for_update(key_share=True))
    if email is None:
        raise UnauthorizedError
    return email


def request_verification(*, actor: int) -> None:
    """Enqueue another verification mail if the actor's e-mail address is not verified."""
    lock_user(actor)
    statement = select(User.email).where(User.id == actor, ~User.email_verified)
    if email := db.session.scalar(statement):
        enqueue(VERIFY_EMAIL, recipient=email, user_id=actor)


def verify_email(*, token: str) -> None:
    """Mark an e-mail address as verified. token: from the link in the mail to that address.

    Raise InvalidMailTokenError (400) if the token is invalid.
    """
    mail_token = MailToken(EMAIL_VERIFICATION, token)
    statement = select(User.email).where(User.id == mail_token.user_id).with_for_update(key_share=True)
    email = db.session.scalar(statement)
    mail_token.check(email and email.lower())
    db.session.execute(update(User).where(User.id == mail_token.user_id).values(email_verified=True))


def touch_last_seen(user_id: int, last_seen: datetime | None) -> None:
    """Update `last_seen` of a user, at most once a minute.

    last_seen: the value that was read, so that most requests write nothing.
    """
    now = utcnow()
    if last_seen is None or now - last_seen >= LAST_SEEN_INTERVAL:
        with best_effort():
            current_connection().execute(update(User).where(User.id == user_id).values(last_seen=now))


def touch_last_write(user_id: int, last_write_at: datetime | None) -> None:
    """Update the time of a user's last write, at most once in ten seconds. last_write_at: the value that was read."""
    now = utcnow()
    if last_write_at is None or now - last_write_at >= LAST_WRITE_INTERVAL:
        current_connection().execute(update(User).where(User.id == user_id).values(last_write_at=now))


@contextmanager
def translate_unique_violation(
    *, username: str | None = None, email: str | None = None, except_user: int | None = None, **others: Any
) -> Iterator[None]:
    """Translate a violated unique constraint into the ApiError that clients expect.

    The constraint decides; the query only finds out which field to name, and the username comes first. except_user: the
    id of the user who owns this username and e-mail address.
    """
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError as error:
        # The message of PostgreSQL also quotes the value, and a value may look like the name of a constraint.
        diag = getattr(error.orig, 'diag', None)
        violated = (diag.constraint_name or '') if diag else str(error.orig)
        if 'uq_users_username' in violated or is_username_taken(username, except_user):
            raise ApiError(USERNAME_TAKEN) from error
        if 'uq_users_email' in violated:
            raise ApiError(EMAIL_TAKEN) from error
        raise


def is_username_taken(username: str | None, except_user: int | None) -> bool:
    if username is None:
        return False
    statement = select(User.id).where(func.lower(User.username) == username.lower(), User.id != (except_user or 0))
    return db.session.scalar(statement) is not None
