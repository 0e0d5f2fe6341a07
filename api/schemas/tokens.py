"""Access tokens and personal access tokens."""

from datetime import timedelta
from typing import Any

from marshmallow import fields, validate
from marshmallow_sqlalchemy import auto_field

from api.models import Token
from api.schemas.base import RequestSchema, ResponseSchema, Text
from api.schemas.collections import CollectionSchema
from api.schemas.links import Links
from api.security.scopes import SCOPES

DAY = 24 * 3600
NAME_METADATA = {'description': 'The purpose of the token.', 'examples': ['nightly backup']}
EXAMPLE_SCOPES = ['posts:read', 'posts:write']


class ScopeList(fields.List[Any]):
    """A list of scopes. The database stores it as one string with spaces between the scopes."""

    def __init__(self, *, description: str, volatile: bool = False, **kwargs: Any):
        scope = fields.String(validate=validate.OneOf(SCOPES))
        metadata = {
            'description': description,
            'maxItems': len(SCOPES),
            'examples': [EXAMPLE_SCOPES],
            'volatile': volatile,
        }
        super().__init__(scope, metadata=metadata, **kwargs)

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        return list(SCOPES) if value is None else value.split()


class TokenSchema(ResponseSchema):
    """An access token and its expiry time."""

    token = fields.String(
        metadata={
            'description': 'Send it as `Authorization: Bearer <token>`.',
            'pattern': '^[0-9a-f]{32}$',
            'maxLength': 32,
            'examples': ['2a0ae4ae7f8f5a39cfbe1ca90c04e2d6'],
        }
    )
    expires_at = fields.DateTime(metadata={'examples': ['2021-06-20T16:04:27+00:00']})


class CurrentTokenSchema(ResponseSchema):
    """The token of the request and its scopes."""

    class Meta(ResponseSchema.Meta):
        model = Token

    name = auto_field(
        metadata={'description': 'Null for a token from `POST /api/tokens`.', 'examples': ['nightly backup']}
    )
    scopes = ScopeList(description='The scopes of the token.')
    created_at = auto_field(metadata={'examples': ['2021-06-20T15:04:27+00:00']})
    expires_at = auto_field(metadata={'examples': ['2021-07-20T15:04:27+00:00']})
    links = Links('CurrentTokenLinks', user='/api/users/{user_id}')


class PersonalTokenSchema(ResponseSchema):
    """A personal access token, without its secret."""

    class Meta(ResponseSchema.Meta):
        model = Token

    id = auto_field(metadata={'minimum': 1, 'examples': [17]})
    name: Any = auto_field(allow_none=False, metadata={'examples': ['nightly backup']})
    scopes = ScopeList(description='The scopes of the token.')
    used_scopes = ScopeList(description='The scopes that the token has used so far.', volatile=True)
    created_at = auto_field(metadata={'examples': ['2021-06-20T15:04:27+00:00']})
    last_used_at = auto_field(
        metadata={
            'description': 'Accurate to the minute. Null if never used.',
            'examples': ['2021-06-21T04:00:12+00:00'],
            'volatile': True,
        }
    )
    expires_at = auto_field(metadata={'examples': ['2021-07-20T15:04:27+00:00']})
    links = Links('PersonalTokenLinks', self='/api/me/tokens/{id}')


class CreatedTokenSchema(PersonalTokenSchema):
    """A new personal access token with its secret, which is not shown again."""

    token = fields.String(
        metadata={
            'description': 'Send it as `Authorization: Bearer <token>`. Shown once: the server stores only a digest.',
            'pattern': '^mb_[0-9A-Za-z]{49}$',
            'maxLength': 52,
            'examples': ['mb_00000000000000000000000000000000000000000041bDnVF'],
        }
    )


class PersonalTokenCollectionSchema(CollectionSchema):
    """A page of personal access tokens."""

    items = fields.Nested(PersonalTokenSchema, many=True)


class PersonalTokenCreateSchema(RequestSchema):
    """A new personal access token."""

    name = Text(required=True, validate=validate.Length(1, 64), metadata=NAME_METADATA)
    scopes = ScopeList(
        required=True, validate=validate.Length(1, len(SCOPES)), description='The scopes of the new token.'
    )
    expires_in = fields.TimeDelta(
        load_default=timedelta(days=30),
        validate=validate.Range(
            timedelta(minutes=1), timedelta(days=366), error='Must be between 60 and 31622400 seconds.'
        ),
        error_messages={'invalid': 'Must be a number of seconds.'},
        metadata={
            'description': 'Lifetime in seconds. Default 2592000 (30 days).',
            'examples': [7 * DAY],
        },
    )


class PersonalTokenUpdateSchema(RequestSchema):
    """The changes to a personal access token. Absent fields stay unchanged."""

    name = Text(validate=validate.Length(1, 64), metadata=NAME_METADATA)
    scopes = ScopeList(
        validate=validate.Length(1, len(SCOPES)),
        description='The scopes to keep. Removed scopes cannot be added again.',
    )
