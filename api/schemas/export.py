"""The account export."""

from marshmallow import fields, validate

from api.schemas.base import ResponseSchema
from api.schemas.posts import PostSchema, PostVersionSchema
from api.schemas.tokens import PersonalTokenSchema
from api.schemas.users import OwnUserSchema, UserSchema

EXPORT_SCHEMAS: dict[str, type[ResponseSchema]] = {
    'user': OwnUserSchema,
    'token': PersonalTokenSchema,
    'following': UserSchema,
    'follower': UserSchema,
    'post': PostSchema,
    'post_version': PostVersionSchema,
    'like': PostSchema,
}
SCHEMA_NAMES = dict.fromkeys(shape.__name__.removesuffix('Schema') for shape in EXPORT_SCHEMAS.values())


class ExportLineSchema(ResponseSchema):
    """One line of an export.

    Previous versions of a post follow its line.
    """

    kind = fields.String(validate=validate.OneOf(EXPORT_SCHEMAS), metadata={'examples': ['post_version']})
    data = fields.Raw(
        metadata={
            'description': 'An object of the schema that belongs to `kind`.',
            'anyOf': [{'$ref': f'#/components/schemas/{name}'} for name in SCHEMA_NAMES],
            'examples': [{'text': 'Good morning!', 'written_at': '2021-06-20T15:04:27+00:00'}],
        }
    )
