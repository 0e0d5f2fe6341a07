"""Users, registrations and account changes."""

from typing import Any

from marshmallow import ValidationError, fields, validate
from marshmallow_sqlalchemy import auto_field

from api.errors import ApiError
from api.models import User
from api.problems import MISSING_FIELDS
from api.schemas.base import RequestSchema, ResponseSchema, Text
from api.schemas.collections import CollectionSchema, PageRequestSchema
from api.schemas.links import Links
from api.security.passwords import passwords

USERNAME_PATTERN = r'[A-Za-z][A-Za-z0-9_.-]*'
USERNAME_ERRORS = {'pattern': 'Must start with a letter and contain only letters, digits, `_`, `-` and `.`'}
# Without `?`: mail software decodes an address like `=?utf-8?q?susan?=` to a different one.
ATOM_PATTERN = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
LABEL_PATTERN = r'[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
# The OpenAPI document has only this pattern: the format `email` also limits the part before the @ to 64 characters.
EMAIL_PATTERN = rf'{ATOM_PATTERN}(\.{ATOM_PATTERN})*@{LABEL_PATTERN}(\.{LABEL_PATTERN})*'
EMAIL_ERRORS = {'pattern': 'Must be one e-mail address, such as susan@example.com.'}
AVATAR_URL = 'https://www.gravatar.com/avatar/{email:sha256}?d=identicon&s=128'

username = {'description': 'Unique, ignoring case.', 'examples': ['susan']}
email = {'description': 'Unique, ignoring case.', 'examples': ['susan@example.com']}
about_me = {'description': 'Null clears the field.', 'examples': ['Hello, my name is Susan!']}
count = {'minimum': 0, 'volatile': True}


class Password(fields.String):
    """A new password."""

    def __init__(self) -> None:
        metadata = {
            'description': 'Any characters. The most common passwords are rejected.',
            'format': 'password',
            'examples': ['correct horse battery'],
        }
        super().__init__(required=True, validate=[validate.Length(max=128), validate_password], metadata=metadata)


def validate_password(password: str) -> None:
    if weakness := passwords.find_weakness(password):
        raise ValidationError(weakness)


class OwnUserSchema(ResponseSchema):
    """Your own user entry."""

    class Meta(ResponseSchema.Meta):
        model = User

    id = auto_field(metadata={'minimum': 1, 'examples': [123]})
    username = auto_field(metadata={'examples': ['susan']})
    email: Any = auto_field(metadata={'examples': ['susan@example.com']})
    email_verified: Any = auto_field(
        metadata={'description': 'Whether a verification link sent to this address was used.', 'examples': [True]}
    )
    last_seen = auto_field(
        metadata={
            'description': 'When the user last used the API, accurate to the minute. Null if never.',
            'examples': ['2021-06-20T15:04:27+00:00'],
            'volatile': True,
        }
    )
    about_me = auto_field(metadata={'examples': ['Hello, my name is Susan!']})
    post_count = auto_field(metadata={**count, 'examples': [7]})
    follower_count = auto_field(metadata={**count, 'examples': [35]})
    following_count = auto_field(metadata={**count, 'examples': [21]})
    links = Links(
        'UserLinks',
        self='/api/users/{id}',
        followers='/api/users/{id}/followers',
        following='/api/users/{id}/following',
        posts='/api/users/{id}/posts',
        avatar=AVATAR_URL,
    )


class UserSchema(OwnUserSchema):
    """A user, as seen by all users."""

    class Meta(OwnUserSchema.Meta):
        exclude = ('email', 'email_verified')


class UserCollectionSchema(CollectionSchema):
    """A page of users."""

    items = fields.Nested(UserSchema, many=True)


class UserListRequestSchema(PageRequestSchema):
    """The query parameters of the collection of users."""

    username = fields.String(
        metadata={
            'description': 'Return only the user of this name, ignoring case. No items if there is none.',
            'examples': ['susan'],
        }
    )


class ProfileSchema(OwnUserSchema):
    """A user. Only your own entry contains the e-mail address."""

    email: Any = Text(
        attribute='own_email',
        metadata={
            'description': 'Only in your own entry.',
            'maxLength': 120,
            'examples': ['susan@example.com'],
            'optional': True,
        },
    )
    email_verified: Any = fields.Boolean(
        attribute='own_email_verified',
        metadata={'description': 'Only in your own entry.', 'examples': [True], 'optional': True},
    )


class UserCreateSchema(RequestSchema):
    """A registration."""

    class Meta(RequestSchema.Meta):
        model = User

    username = auto_field(pattern=USERNAME_PATTERN, error_messages=USERNAME_ERRORS, metadata=username)
    email = auto_field(pattern=EMAIL_PATTERN, error_messages=EMAIL_ERRORS, metadata=email)
    password = Password()
    about_me = auto_field(metadata=about_me)

    def handle_error(self, error: ValidationError, data: Any, **kwargs: Any) -> None:
        if any(name not in data for name in ('username', 'email', 'password')):
            raise ApiError(MISSING_FIELDS, errors=error.messages_dict) from error


class UserUpdateSchema(RequestSchema):
    """The changes to your account. Absent fields stay unchanged."""

    class Meta(RequestSchema.Meta):
        model = User

    username = auto_field(required=False, pattern=USERNAME_PATTERN, error_messages=USERNAME_ERRORS, metadata=username)
    email = auto_field(required=False, pattern=EMAIL_PATTERN, error_messages=EMAIL_ERRORS, metadata=email)
    about_me = auto_field(metadata=about_me)
