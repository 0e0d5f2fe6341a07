"""Errors, in our own shape and in that of RFC 9457."""

from marshmallow import fields, validate

from api.problems import PROBLEMS, USERNAME_TAKEN
from api.schemas.base import MAX_URL_LENGTH, ResponseSchema
from api.schemas.links import Links

# Errors may repeat what was asked, and a list may be wrong in each of its items: neither makes the answer long.
MAX_MESSAGE_LENGTH = 1000
MAX_MESSAGES = 20
MAX_ERRORS = 200


class ErrorSchema(ResponseSchema):
    """Something went wrong."""

    error = fields.String(
        metadata={'description': 'The reason phrase of the status.', 'maxLength': 50, 'examples': ['Bad Request']}
    )
    message = fields.String(
        metadata={
            'description': 'What is wrong, where there is something to add.',
            'maxLength': MAX_MESSAGE_LENGTH,
            'examples': ['please use a different username'],
            'optional': True,
        }
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(
            fields.String(metadata={'maxLength': MAX_MESSAGE_LENGTH}), metadata={'maxItems': MAX_MESSAGES}
        ),
        metadata={
            'description': 'What is wrong with each field, where a body or query does not fit its schema.',
            'examples': [{'email': ['Does not match.']}],
            'optional': True,
        },
    )


class ProblemErrorSchema(ResponseSchema):
    """What is wrong with one field."""

    pointer = fields.String(
        metadata={
            'description': 'A JSON Pointer into the body.',
            'format': 'uri-reference',
            'maxLength': 100,
            'examples': ['#/email'],
        }
    )
    detail = fields.String(metadata={'maxLength': MAX_MESSAGE_LENGTH, 'examples': ['Longer than maximum length 120.']})


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
    title = fields.String(
        metadata={'description': 'The reason phrase of the status.', 'maxLength': 50, 'examples': ['Bad Request']}
    )
    status = fields.Integer(metadata={'format': 'int32', 'minimum': 400, 'maximum': 599, 'examples': [400]})
    detail = fields.String(
        metadata={
            'description': 'What is wrong, where there is something to add.',
            'maxLength': MAX_MESSAGE_LENGTH,
            'examples': ['please use a different username'],
            'optional': True,
        }
    )
    instance = fields.String(
        metadata={
            'description': 'The path of the request.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/users'],
        }
    )
    errors = fields.List(
        fields.Nested(ProblemErrorSchema),
        metadata={
            'description': 'What is wrong with each field.',
            'maxItems': MAX_ERRORS,
            'examples': [[{'pointer': '#/email', 'detail': 'Longer than maximum length 120.'}]],
            'optional': True,
        },
    )


class ProblemTypeSchema(ResponseSchema):
    """A kind of failure."""

    name = fields.String()
    status = fields.Integer()
    cause = fields.String()
    remedy = fields.String()
    links = Links('ProblemTypeLinks', self='/problems/{name}')
