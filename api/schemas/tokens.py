"""Access tokens."""

from marshmallow import fields

from api.schemas.base import ResponseSchema


class TokenSchema(ResponseSchema):
    """A token, and until when it works."""

    token = fields.String(
        metadata={
            'description': 'Send it as `Authorization: Bearer <token>`.',
            'pattern': '^[0-9a-f]{32}$',
            'examples': ['2a0ae4ae7f8f5a39cfbe1ca90c04e2d6'],
        }
    )
    expires_at = fields.DateTime(metadata={'examples': ['2021-06-20T16:04:27+00:00']})
