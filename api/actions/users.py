"""What happens to accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from api.actions.links import VERIFICATION, Link
from api.actions.outbox import EMAIL_CHANGED, VERIFY_EMAIL, post_message
from api.actions.rows import if_possible, lock_user
from api.actions.tokens import note_scope
from api.clock import utcnow
from api.errors import ApiError, InsufficientScopeError, UnauthorizedError
from api.extensions import current_connection, db, passwords
from api.models import Total, User
from api.problems import EMAIL_TAKEN, USERNAME_TAKEN

SEEN_AT_MOST_EVERY = timedelta(minutes=1)
WRITTEN_AT_MOST_EVERY = timedelta(seconds=10)


def register_user(*, username: str, email: str, password: str, about_me: str | None = None) -> int:
    """Makes an account and returns its id."""
    password_hash = passwords.hash(password)
    with refuse_taken(username=username, email=email):
        user_id = db.session.execute(
            insert(User)
            .values(username=username, email=email, password_hash=password_hash, about_me=about_me, created_at=utcnow())
            .returning(User.id)
        ).scalar_one()
    post_message(VERIFY_EMAIL, recipient=email, user_id=user_id)
    # Last, because the whole server's registrations wait for this row until the transaction ends.
    db.session.execute(update(Total).where(Total.name == 'users').values(value=Total.value + 1))
    return user_id


def change_account(*, actor: int, may_change_email: bool, token_id: int | None = None, **changes: Any) -> None:
    """Changes what the actor may change of their own account: username, email, about_me.

    A new e-mail address is one that nobody has verified; both addresses are told. token_id: of the token that does it,
    where it is of those whose use is written down.
    """
    if not changes:
        return
    if 'email' in changes and (old := lock_email(actor)).lower() != changes['email'].lower():
        if not may_change_email:
            raise InsufficientScopeError('account:manage')
        if token_id is not None:
            note_scope(token_id, 'account:manage')
        post_message(EMAIL_CHANGED, recipient=old, user_id=actor)
        post_message(VERIFY_EMAIL, recipient=changes['email'], user_id=actor)
        changes['email_verified'] = False
    with refuse_taken(but=actor, **changes):
        changed = update(User).where(User.id == actor, User.disabled_at.is_(None)).values(changes)
        if not db.session.connection().execute(changed).rowcount:
            raise UnauthorizedError


def lock_email(actor: int) -> str:
    """The caller's e-mail address, which nobody else changes until the transaction ends."""
    theirs = select(User.email).where(User.id == actor, User.disabled_at.is_(None))
    email = db.session.scalar(theirs.with_for_update(key_share=True))
    if email is None:
        raise UnauthorizedError
    return email


def request_verification(*, actor: int) -> None:
    """Sends the actor another mail to verify their address with, where they have not yet."""
    lock_user(actor)
    unverified = select(User.email).where(User.id == actor, ~User.email_verified)
    if email := db.session.scalar(unverified):
        post_message(VERIFY_EMAIL, recipient=email, user_id=actor)


def verify_email(*, token: str) -> None:
    """Believes that an address is its user's. token: from the link in the mail that went there."""
    link = Link(VERIFICATION, token)
    theirs = select(User.email).where(User.id == link.user_id).with_for_update(key_share=True)
    email = db.session.scalar(theirs)
    link.check(email and email.lower())
    db.session.execute(update(User).where(User.id == link.user_id).values(email_verified=True))


def note_seen(user_id: int, last_seen: datetime | None) -> None:
    """Writes down that a user is here, at most once a minute.

    last_seen: what is known of it, so that most requests write nothing.
    """
    now = utcnow()
    if last_seen is None or now - last_seen >= SEEN_AT_MOST_EVERY:
        with if_possible():
            current_connection().execute(update(User).where(User.id == user_id).values(last_seen=now))


def note_write(user_id: int, wrote_at: datetime | None) -> None:
    """Writes down that a user wrote something, at most once in ten seconds. wrote_at: what is known of it."""
    now = utcnow()
    if wrote_at is None or now - wrote_at >= WRITTEN_AT_MOST_EVERY:
        current_connection().execute(update(User).where(User.id == user_id).values(wrote_at=now))


@contextmanager
def refuse_taken(
    *, username: str | None = None, email: str | None = None, but: int | None = None, **others: Any
) -> Iterator[None]:
    """Turns a violated constraint into the promised message.

    The constraint decides; the look-up only tells which of the two is to be named, and a username comes first.
    but: the id of the user whose own username and e-mail address these are.
    """
    try:
        with db.session.begin_nested():
            yield
    except IntegrityError as error:
        # PostgreSQL's text quotes the value, too, and a value may look like a constraint's name.
        diag = getattr(error.orig, 'diag', None)
        violated = (diag.constraint_name or '') if diag else str(error.orig)
        if 'uq_users_username' in violated or username_taken(username, but):
            raise ApiError(USERNAME_TAKEN) from error
        if 'uq_users_email' in violated:
            raise ApiError(EMAIL_TAKEN) from error
        raise


def username_taken(username: str | None, but: int | None) -> bool:
    if username is None:
        return False
    taken = select(User.id).where(func.lower(User.username) == username.lower(), User.id != (but or 0))
    return db.session.scalar(taken) is not None
