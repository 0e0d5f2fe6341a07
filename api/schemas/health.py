"""Whether the server is well."""

from marshmallow import fields

from api.schemas.base import ResponseSchema


class HealthSchema(ResponseSchema):
    """All is well."""

    status = fields.String(metadata={'enum': ['ok'], 'examples': ['ok']})
