"""Passwords, e-mail addresses and account deletion."""

from typing import Any

from marshmallow import fields, validate

from api.schemas.base import RequestSchema, ResponseSchema, Text
from api.schemas.users import EMAIL_ERRORS, EMAIL_PATTERN, Password

MAIL_TOKEN_PATTERN = '[A-Za-z0-9_-]{64}'
MAIL_TOKEN_ERRORS = {'pattern': 'Must be the token of 64 characters from the link.'}
MAIL_TOKEN_METADATA: dict[str, Any] = {
    'description': 'The token from the link in the e-mail.',
    'maxLength': 64,
    'examples': ['AAAAAAAAAHsAAAAAYM9mZy7vAiVzvQ0M0NsZ5Zo3kM3o2n5f1fQmZxPq9l4bQfJt'],
}


class CurrentPassword(fields.String):
    """The current password of an account, which need not meet the rules for new passwords."""

    def __init__(self) -> None:
        metadata = {'format': 'password', 'examples': ['correct horse battery']}
        super().__init__(required=True, validate=validate.Length(max=128), metadata=metadata)


class PasswordChangeSchema(RequestSchema):
    """Your current password and a new one."""

    old_password = CurrentPassword()
    new_password = Password()


class AccountDeleteSchema(RequestSchema):
    """Your current password, as a confirmation."""

    password = CurrentPassword()


class PasswordResetRequestSchema(RequestSchema):
    """The e-mail address to send the link to."""

    email = Text(
        required=True,
        pattern=EMAIL_PATTERN,
        error_messages=EMAIL_ERRORS,
        validate=validate.Length(max=120),
        metadata={'examples': ['susan@example.com']},
    )


class PasswordResetSchema(RequestSchema):
    """A new password and the token from the link."""

    token = Text(
        required=True, pattern=MAIL_TOKEN_PATTERN, error_messages=MAIL_TOKEN_ERRORS, metadata=MAIL_TOKEN_METADATA
    )
    new_password = Password()


class EmailVerificationSchema(RequestSchema):
    """The token from the link."""

    token = Text(
        required=True, pattern=MAIL_TOKEN_PATTERN, error_messages=MAIL_TOKEN_ERRORS, metadata=MAIL_TOKEN_METADATA
    )


class AcceptedSchema(ResponseSchema):
    """The request was accepted."""

    message = fields.String(
        metadata={'maxLength': 100, 'examples': ['unless your address is already verified, a link is on its way']}
    )
