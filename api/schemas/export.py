"""Everything that belongs to an account."""

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

    The versions of a post, which are what it said before, follow its line.
    """

    kind = fields.String(validate=validate.OneOf(EXPORT_SCHEMAS), metadata={'examples': ['post_version']})
    data = fields.Raw(
        metadata={
            'description': 'In the shape that the kind has elsewhere.',
            'anyOf': [{'$ref': f'#/components/schemas/{name}'} for name in SCHEMA_NAMES],
            'examples': [{'text': 'Good morning!', 'written_at': '2021-06-20T15:04:27+00:00'}],
        }
    )
