"""How the caller and others stand to each other."""

from marshmallow import fields, validate

from api.schemas.base import MAX_ID, RequestSchema, ResponseSchema

MAX_IDS = 100


class RelationshipsRequestSchema(RequestSchema):
    """Of whom to tell."""

    ids = fields.List(
        fields.Integer(validate=validate.Range(1, MAX_ID), metadata={'format': 'int64'}),
        data_key='id',
        required=True,
        validate=validate.Length(1, MAX_IDS),
        metadata={'description': 'Their ids: `id=1&id=2`. Those that nobody has are left out of the answer.'},
    )


class RelationshipSchema(ResponseSchema):
    """How you and somebody else stand to each other."""

    id = fields.Integer(metadata={'minimum': 1, 'examples': [123]})
    follows = fields.Boolean(metadata={'description': 'Whether you follow them.', 'examples': [True]})
    followed_by = fields.Boolean(metadata={'description': 'Whether they follow you.', 'examples': [False]})


class RelationshipsSchema(ResponseSchema):
    """One for each user that there is, by id."""

    items = fields.Nested(RelationshipSchema, many=True, metadata={'maxItems': MAX_IDS})
