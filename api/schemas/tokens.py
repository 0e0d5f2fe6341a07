"""Access tokens."""

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
NAME_METADATA = {'description': 'What it is for, in your words.', 'examples': ['nightly backup']}
EXAMPLE_SCOPES = ['posts:read', 'posts:write']


class ScopeList(fields.List[Any]):
    """Scopes, which are words in the database and a list for clients."""

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
    """A token, and until when it works."""

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
    """The token that was sent with the request, and what it may do."""

    class Meta(ResponseSchema.Meta):
        model = Token

    name = auto_field(metadata={'description': 'Null for one that a password gave.', 'examples': ['nightly backup']})
    scopes = ScopeList(description='What it may do.')
    created_at = auto_field(metadata={'examples': ['2021-06-20T15:04:27+00:00']})
    expires_at = auto_field(metadata={'examples': ['2021-07-20T15:04:27+00:00']})
    links = Links('CurrentTokenLinks', user='/api/users/{user_id}')


class PersonalTokenSchema(ResponseSchema):
    """A personal access token, without its secret."""

    class Meta(ResponseSchema.Meta):
        model = Token

    id = auto_field(metadata={'minimum': 1, 'examples': [17]})
    name: Any = auto_field(allow_none=False, metadata={'examples': ['nightly backup']})
    scopes = ScopeList(description='What it may do.')
    used_scopes = ScopeList(description='What it has done so far.', volatile=True)
    created_at = auto_field(metadata={'examples': ['2021-06-20T15:04:27+00:00']})
    last_used_at = auto_field(
        metadata={'description': 'To the minute.', 'examples': ['2021-06-21T04:00:12+00:00'], 'volatile': True}
    )
    expires_at = auto_field(metadata={'examples': ['2021-07-20T15:04:27+00:00']})
    links = Links('PersonalTokenLinks', self='/api/me/tokens/{id}')


class CreatedTokenSchema(PersonalTokenSchema):
    """A personal access token, with its secret this once."""

    token = fields.String(
        metadata={
            'description': 'Send it as `Authorization: Bearer <token>`. It is not shown again: the server forgets it.',
            'pattern': '^mb_[0-9A-Za-z]{49}$',
            'maxLength': 52,
            'examples': ['mb_00000000000000000000000000000000000000000041bDnVF'],
        }
    )


class PersonalTokenCollectionSchema(CollectionSchema):
    """A page of personal access tokens."""

    items = fields.Nested(PersonalTokenSchema, many=True)


class PersonalTokenCreateSchema(RequestSchema):
    """A personal access token to make."""

    name = Text(required=True, validate=validate.Length(1, 64), metadata=NAME_METADATA)
    scopes = ScopeList(
        required=True, validate=validate.Length(1, len(SCOPES)), description='What it is to be allowed. See above.'
    )
    expires_in = fields.TimeDelta(
        load_default=timedelta(days=30),
        validate=validate.Range(timedelta(minutes=1), timedelta(days=366)),
        metadata={
            'description': 'After how many seconds it ends; 30 days where nothing is said.',
            'examples': [7 * DAY],
        },
    )


class PersonalTokenUpdateSchema(RequestSchema):
    """What may change of a personal access token. What is left out stays as it is."""

    name = Text(validate=validate.Length(1, 64), metadata=NAME_METADATA)
    scopes = ScopeList(
        validate=validate.Length(1, len(SCOPES)), description='Fewer than it has: what is taken does not come back.'
    )
