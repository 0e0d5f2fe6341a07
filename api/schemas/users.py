"""Users, as they show themselves and as they are registered and changed."""

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
# Without `?`: what looks like `=?utf-8?q?susan?=` is another address for whatever sends and receives mail.
ATOM_PATTERN = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
LABEL_PATTERN = r'[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
# Documented by this pattern alone: the format `email` also has a limit of 64 for the part before the @.
EMAIL_PATTERN = rf'{ATOM_PATTERN}(\.{ATOM_PATTERN})*@{LABEL_PATTERN}(\.{LABEL_PATTERN})*'
AVATAR_URL = 'https://www.gravatar.com/avatar/{email:sha256}?d=identicon&s=128'

username = {'description': 'Unique without regard to case.', 'examples': ['susan']}
email = {'description': 'Unique without regard to case.', 'examples': ['susan@example.com']}
about_me = {'description': 'Null clears it.', 'examples': ['Hello, my name is Susan!']}
count = {'minimum': 0, 'volatile': True}


class Password(fields.String):
    """A password to be set."""

    def __init__(self) -> None:
        metadata = {
            'description': 'Any characters, but none of the most common passwords.',
            'format': 'password',
            'examples': ['correct horse battery'],
        }
        super().__init__(required=True, validate=[validate.Length(max=128), validate_password], metadata=metadata)


def validate_password(password: str) -> None:
    if weakness := passwords.find_weakness(password):
        raise ValidationError(weakness)


class OwnUserSchema(ResponseSchema):
    """A user as they see themselves."""

    class Meta(ResponseSchema.Meta):
        model = User

    id = auto_field(metadata={'minimum': 1, 'examples': [123]})
    username = auto_field(metadata={'examples': ['susan']})
    email: Any = auto_field(metadata={'examples': ['susan@example.com']})
    email_verified: Any = auto_field(
        metadata={'description': 'Whether a link that was mailed there was followed.', 'examples': [True]}
    )
    last_seen = auto_field(
        metadata={
            'description': 'When they last used the API, to the minute; null until they do.',
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
    """A user as everyone sees them."""

    class Meta(OwnUserSchema.Meta):
        exclude = ('email', 'email_verified')


class UserCollectionSchema(CollectionSchema):
    """A page of users."""

    items = fields.Nested(UserSchema, many=True)


class UserListRequestSchema(PageRequestSchema):
    """Which users, and which page of them."""

    username = fields.String(
        metadata={
            'description': 'The one of this name, without regard to case; nobody where there is none.',
            'examples': ['susan'],
        }
    )


class ProfileSchema(OwnUserSchema):
    """A user as everyone sees them, with the e-mail address for themselves alone."""

    email: Any = Text(
        attribute='own_email',
        metadata={
            'description': 'There in your own entry only.',
            'maxLength': 120,
            'examples': ['susan@example.com'],
            'optional': True,
        },
    )
    email_verified: Any = fields.Boolean(
        attribute='own_email_verified',
        metadata={'description': 'There in your own entry only.', 'examples': [True], 'optional': True},
    )


class UserCreateSchema(RequestSchema):
    """A registration."""

    class Meta(RequestSchema.Meta):
        model = User

    username = auto_field(pattern=USERNAME_PATTERN, metadata=username)
    email = auto_field(pattern=EMAIL_PATTERN, metadata=email)
    password = Password()
    about_me = auto_field(metadata=about_me)

    def handle_error(self, error: ValidationError, data: Any, **kwargs: Any) -> None:
        if any(name not in data for name in ('username', 'email', 'password')):
            raise ApiError(MISSING_FIELDS, errors=error.messages_dict) from error


class UserUpdateSchema(RequestSchema):
    """What users may change of their own entry. What is left out stays as it is."""

    class Meta(RequestSchema.Meta):
        model = User

    username = auto_field(required=False, pattern=USERNAME_PATTERN, metadata=username)
    email = auto_field(required=False, pattern=EMAIL_PATTERN, metadata=email)
    about_me = auto_field(metadata=about_me)
