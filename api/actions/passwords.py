"""How passwords are changed, and forgotten ones replaced."""

import secrets
from typing import Any

from sqlalchemy import update

from api.actions.links import RESET, Link, StaleLinkError
from api.actions.outbox import PASSWORD_CHANGED, RESET_PASSWORD, post_message
from api.actions.tokens import revoke_tokens_of
from api.errors import UnauthorizedError
from api.extensions import current_connection, db, passwords
from api.models import User
from api.queries.users import get_user


def change_password(*, actor: int, credentials_version: int, token_id: int | None, password: str) -> None:
    """Sets the actor's password and ends every other token than the one that they call with."""
    email = replace_password(actor, credentials_version, password)
    if email is None:
        raise UnauthorizedError
    revoke_tokens_of(actor, but=token_id)
    post_message(PASSWORD_CHANGED, recipient=email, user_id=actor)


def request_reset(*, email: str) -> None:
    """Asks the worker to mail a link. It finds out whether anybody has the address: here that would take time."""
    post_message(RESET_PASSWORD, recipient=email)


def reset_state(user: Any) -> str:
    """What must not have changed between the mail and the reset."""
    return f'{user.credentials_version} {user.email.lower()}'


def check_reset(token: str) -> Any:
    """The user whose password the link in a mail may set; 400 where it may not."""
    link = Link(RESET, token)
    user = get_user(link.user_id).first()
    link.check(reset_state(user) if user and user.disabled_at is None else None)
    return user


def reset_password(*, user: Any, password: str) -> None:
    """Sets the password of a user whom `check_reset` found, and ends all their tokens.

    Whoever has the link reads the mail: that verifies the address, too.
    """
    email = replace_password(user.id, user.credentials_version, password, email_verified=True)
    if email is None or email.lower() != user.email.lower():
        raise StaleLinkError
    revoke_tokens_of(user.id)
    post_message(PASSWORD_CHANGED, recipient=email, user_id=user.id)


def void_password(*, user: Any) -> None:
    """Ends the password and all tokens of a user, and asks the worker to mail them a link to choose another."""
    # Of a password that nobody knows, because to check what is no hash takes less time.
    void = {
        'password_hash': passwords.hash(secrets.token_urlsafe()),
        'credentials_version': User.credentials_version + 1,
    }
    db.session.execute(update(User).where(User.id == user.id).values(void))
    revoke_tokens_of(user.id)
    request_reset(email=user.email)


def replace_password(user_id: int, credentials_version: int, password: str, **others: Any) -> str | None:
    """Sets it, if nobody has since the version was read, and returns the e-mail address; else None."""
    values = {'password_hash': passwords.hash(password), 'credentials_version': credentials_version + 1, **others}
    unchanged = (User.id == user_id, User.credentials_version == credentials_version, User.disabled_at.is_(None))
    return db.session.scalar(update(User).where(*unchanged).values(values).returning(User.email))


def rehash_password(user: Any, password: str) -> None:
    """Keeps the same password with the parameters of today. user: as it was read."""
    same = (User.id == user.id, User.password_hash == user.password_hash)
    current_connection().execute(update(User).where(*same).values(password_hash=passwords.hash(password)))
