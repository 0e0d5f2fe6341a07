"""Passwords, e-mail addresses, and leaving."""

from typing import Any

from marshmallow import fields, validate

from api.schemas.base import RequestSchema, ResponseSchema, Text
from api.schemas.users import EMAIL_PATTERN, Password

MAIL_TOKEN_PATTERN = '[A-Za-z0-9_-]{64}'
MAIL_TOKEN_METADATA: dict[str, Any] = {
    'description': 'From the link in the mail.',
    'maxLength': 64,
    'examples': ['AAAAAAAAAHsAAAAAYM9mZy7vAiVzvQ0M0NsZ5Zo3kM3o2n5f1fQmZxPq9l4bQfJt'],
}


class CurrentPassword(fields.String):
    """The password that the account has, whatever rules there are today for new ones."""

    def __init__(self) -> None:
        metadata = {'format': 'password', 'examples': ['correct horse battery']}
        super().__init__(required=True, validate=validate.Length(max=128), metadata=metadata)


class PasswordChangeSchema(RequestSchema):
    """The password that you have, and the one that you want."""

    old_password = CurrentPassword()
    new_password = Password()


class AccountDeleteSchema(RequestSchema):
    """Your password: that nobody else deletes your account."""

    password = CurrentPassword()


class PasswordResetRequestSchema(RequestSchema):
    """Where to send the link."""

    email = Text(
        required=True,
        pattern=EMAIL_PATTERN,
        validate=validate.Length(max=120),
        metadata={'examples': ['susan@example.com']},
    )


class PasswordResetSchema(RequestSchema):
    """A new password, and the token that allows it."""

    token = Text(required=True, pattern=MAIL_TOKEN_PATTERN, metadata=MAIL_TOKEN_METADATA)
    new_password = Password()


class EmailVerificationSchema(RequestSchema):
    """The token that shows that you read the mail."""

    token = Text(required=True, pattern=MAIL_TOKEN_PATTERN, metadata=MAIL_TOKEN_METADATA)


class AcceptedSchema(ResponseSchema):
    """What happens next."""

    message = fields.String(metadata={'maxLength': 100, 'examples': ['if it is as you say, there will be mail']})
