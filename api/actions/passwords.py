"""How passwords are changed, and forgotten ones replaced."""

import secrets
from typing import Any

from sqlalchemy import update

from api.actions.jobs import PASSWORD_CHANGED, RESET_PASSWORD, enqueue
from api.actions.tokens import revoke_user_tokens
from api.db.session import current_connection, db
from api.errors import UnauthorizedError
from api.models import User
from api.queries.users import get_user
from api.security.mail_tokens import PASSWORD_RESET, InvalidMailTokenError, MailToken
from api.security.passwords import passwords


def change_password(*, actor: int, credentials_version: int, token_id: int | None, password: str) -> None:
    """Sets the actor's password and ends every other token than the one that they call with."""
    email = set_password(actor, credentials_version, password)
    if email is None:
        raise UnauthorizedError
    revoke_user_tokens(actor, except_token=token_id)
    enqueue(PASSWORD_CHANGED, recipient=email, user_id=actor)


def request_password_reset(*, email: str) -> None:
    """Asks the worker to mail a link. It finds out whether anybody has the address: here that would take time."""
    enqueue(RESET_PASSWORD, recipient=email)


def password_reset_state(user: Any) -> str:
    """What must not have changed between the mail and the reset."""
    return f'{user.credentials_version} {user.email.lower()}'


def find_user_for_reset(token: str) -> Any:
    """The user whose password the link in a mail may set; 400 where it may not."""
    mail_token = MailToken(PASSWORD_RESET, token)
    user = get_user(mail_token.user_id).first()
    mail_token.check(password_reset_state(user) if user and user.disabled_at is None else None)
    return user


def reset_password(*, user: Any, password: str) -> None:
    """Sets the password of a user whom `find_user_for_reset` found, and ends all their tokens.

    Whoever has the link reads the mail: that verifies the address, too.
    """
    email = set_password(user.id, user.credentials_version, password, email_verified=True)
    if email is None or email.lower() != user.email.lower():
        raise InvalidMailTokenError
    revoke_user_tokens(user.id)
    enqueue(PASSWORD_CHANGED, recipient=email, user_id=user.id)


def invalidate_password(*, user: Any) -> None:
    """Ends the password and all tokens of a user, and asks the worker to mail them a link to choose another."""
    # Of a password that nobody knows, because to check what is no hash takes less time.
    values = {
        'password_hash': passwords.hash(secrets.token_urlsafe()),
        'credentials_version': User.credentials_version + 1,
    }
    db.session.execute(update(User).where(User.id == user.id).values(values))
    revoke_user_tokens(user.id)
    request_password_reset(email=user.email)


def set_password(user_id: int, credentials_version: int, password: str, **extra_values: Any) -> str | None:
    """Sets it, if nobody has since the version was read, and returns the e-mail address; else None."""
    values = {'password_hash': passwords.hash(password), 'credentials_version': credentials_version + 1, **extra_values}
    conditions = (User.id == user_id, User.credentials_version == credentials_version, User.disabled_at.is_(None))
    return db.session.scalar(update(User).where(*conditions).values(values).returning(User.email))


def rehash_password(user: Any, password: str) -> None:
    """Keeps the same password with the parameters of today. user: as it was read."""
    conditions = (User.id == user.id, User.password_hash == user.password_hash)
    current_connection().execute(update(User).where(*conditions).values(password_hash=passwords.hash(password)))
