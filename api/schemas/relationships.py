"""Relationships between the caller and other users."""

from marshmallow import fields, validate

from api.schemas.base import MAX_ID, RequestSchema, ResponseSchema

MAX_IDS = 100


class RelationshipsRequestSchema(RequestSchema):
    """The users to get relationships with."""

    ids = fields.List(
        fields.Integer(validate=validate.Range(1, MAX_ID), metadata={'format': 'int64'}),
        data_key='id',
        required=True,
        validate=validate.Length(1, MAX_IDS),
        metadata={'description': 'Ids of users: `id=1&id=2`. Ids that do not exist are left out of the response.'},
    )


class RelationshipSchema(ResponseSchema):
    """The relationship between you and another user."""

    id = fields.Integer(metadata={'minimum': 1, 'examples': [123]})
    follows = fields.Boolean(metadata={'description': 'Whether you follow the user.', 'examples': [True]})
    followed_by = fields.Boolean(metadata={'description': 'Whether the user follows you.', 'examples': [False]})


class RelationshipsSchema(ResponseSchema):
    """One relationship for each existing user, ordered by id."""

    items = fields.Nested(RelationshipSchema, many=True, metadata={'maxItems': MAX_IDS})
