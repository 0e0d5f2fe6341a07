"""Password changes and resets."""

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
    """Set the actor's password and revoke all their tokens except the one with the id `token_id`.

    Raise UnauthorizedError if the account is disabled or its credentials have changed meanwhile.
    """
    email = set_password(actor, credentials_version, password)
    if email is None:
        raise UnauthorizedError
    revoke_user_tokens(actor, except_token=token_id)
    enqueue(PASSWORD_CHANGED, recipient=email, user_id=actor)


def request_password_reset(*, email: str) -> None:
    """Enqueue a mail with a reset link.

    The worker looks up the address: a lookup here would reveal by its duration whether the address has an account.
    """
    enqueue(RESET_PASSWORD, recipient=email)


def password_reset_state(user: Any) -> str:
    """Return the account state that a reset link is signed for. If the state changes, the link becomes invalid."""
    return f'{user.credentials_version} {user.email.lower()}'


def find_user_for_reset(token: str) -> Any:
    """Return the user whose password the token may reset. Raise InvalidMailTokenError (400) if the token is invalid."""
    mail_token = MailToken(PASSWORD_RESET, token)
    user = get_user(mail_token.user_id).first()
    mail_token.check(password_reset_state(user) if user and user.disabled_at is None else None)
    return user


def reset_password(*, user: Any, password: str) -> None:
    """Set the password of a user found by `find_user_for_reset` and revoke all their tokens.

    The link proves access to the mailbox, so this also verifies the e-mail address. Raise InvalidMailTokenError (400)
    if the account has changed meanwhile.
    """
    email = set_password(user.id, user.credentials_version, password, email_verified=True)
    if email is None or email.lower() != user.email.lower():
        raise InvalidMailTokenError
    revoke_user_tokens(user.id)
    enqueue(PASSWORD_CHANGED, recipient=email, user_id=user.id)


def invalidate_password(*, user: Any) -> None:
    """Invalidate the password and all tokens of a user and enqueue a mail with a reset link."""
    # The hash of a random password: verifying a password against a value that is not a hash would take less time.
    values = {
        'password_hash': passwords.hash(secrets.token_urlsafe()),
        'credentials_version': User.credentials_version + 1,
    }
    db.session.execute(update(User).where(User.id == user.id).values(values))
    revoke_user_tokens(user.id)
    request_password_reset(email=user.email)


def set_password(user_id: int, credentials_version: int, password: str, **extra_values: Any) -> str | None:
    """Set the password and return the e-mail address.

    Return None if the account is disabled or its credentials version has changed since it was read.
    """
    values = {'password_hash': passwords.hash(password), 'credentials_version': credentials_version + 1, **extra_values}
    conditions = (User.id == user_id, User.credentials_version == credentials_version, User.disabled_at.is_(None))
    return db.session.scalar(update(User).where(*conditions).values(values).returning(User.email))


def rehash_password(user: Any, password: str) -> None:
    """Hash the same password with the current parameters. user: the row as read; no change if its hash differs now."""
    conditions = (User.id == user.id, User.password_hash == user.password_hash)
    current_connection().execute(update(User).where(*conditions).values(password_hash=passwords.hash(password)))
