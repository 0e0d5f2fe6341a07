"""Errors, in our own shape and in that of RFC 9457."""

from marshmallow import fields, validate

from api.problems import PROBLEMS, USERNAME_TAKEN
from api.schemas.base import ResponseSchema
from api.schemas.links import Links


class ErrorSchema(ResponseSchema):
    """Something went wrong."""

    error = fields.String(metadata={'description': 'The reason phrase of the status.', 'examples': ['Bad Request']})
    message = fields.String(
        metadata={
            'description': 'What is wrong, where there is something to add.',
            'examples': ['please use a different username'],
            'optional': True,
        }
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={
            'description': 'What is wrong with each field, where a body or query does not fit its schema.',
            'examples': [{'email': ['Does not match.']}],
            'optional': True,
        },
    )


class ProblemErrorSchema(ResponseSchema):
    """What is wrong with one field."""

    pointer = fields.String(
        metadata={'description': 'A JSON Pointer into the body.', 'format': 'uri-reference', 'examples': ['#/email']}
    )
    detail = fields.String(metadata={'examples': ['Longer than maximum length 120.']})


class ProblemSchema(ResponseSchema):
    """Something went wrong, as problem details (RFC 9457)."""

    type = fields.String(
        validate=validate.OneOf([problem.url for problem in PROBLEMS.values()]),
        metadata={
            'description': 'The kind of failure. Its page says more.',
            'format': 'uri-reference',
            'examples': [USERNAME_TAKEN.url],
        },
    )
    title = fields.String(metadata={'description': 'The reason phrase of the status.', 'examples': ['Bad Request']})
    status = fields.Integer(metadata={'minimum': 400, 'maximum': 599, 'examples': [400]})
    detail = fields.String(
        metadata={
            'description': 'What is wrong, where there is something to add.',
            'examples': ['please use a different username'],
            'optional': True,
        }
    )
    instance = fields.String(
        metadata={'description': 'The path of the request.', 'format': 'uri-reference', 'examples': ['/api/users']}
    )
    errors = fields.List(
        fields.Nested(ProblemErrorSchema),
        metadata={
            'description': 'What is wrong with each field.',
            'examples': [[{'pointer': '#/email', 'detail': 'Longer than maximum length 120.'}]],
            'optional': True,
        },
    )


class ProblemKindSchema(ResponseSchema):
    """A kind of failure."""

    name = fields.String()
    status = fields.Integer()
    cause = fields.String()
    remedy = fields.String()
    links = Links('ProblemKindLinks', self='/problems/{name}')
