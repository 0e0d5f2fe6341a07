"""The results of health checks."""

from marshmallow import fields

from api.schemas.base import ResponseSchema


class HealthSchema(ResponseSchema):
    """The check succeeded."""

    status = fields.String(metadata={'enum': ['ok'], 'examples': ['ok']})
