"""Errors, in the format of this API and in that of RFC 9457."""

from marshmallow import fields, validate

from api.problems import PROBLEMS, USERNAME_TAKEN
from api.schemas.base import MAX_URL_LENGTH, ResponseSchema
from api.schemas.links import Links

# Messages may repeat request data, and every item of a list may have errors: the limits keep responses short.
MAX_MESSAGE_LENGTH = 1000
MAX_MESSAGES = 20
MAX_ERRORS = 200


class ErrorSchema(ResponseSchema):
    """An error."""

    error = fields.String(
        metadata={'description': 'The reason phrase of the status.', 'maxLength': 50, 'examples': ['Bad Request']}
    )
    message = fields.String(
        metadata={
            'description': 'What is wrong. Absent if there is nothing to add.',
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
            'description': 'Messages by field, if the body or the query does not match its schema.',
            'examples': [{'email': ['Longer than maximum length 120.']}],
            'optional': True,
        },
    )


class ProblemErrorSchema(ResponseSchema):
    """An error of one field."""

    pointer = fields.String(
        metadata={
            'description': 'JSON Pointer to the field in the body.',
            'format': 'uri-reference',
            'maxLength': 100,
            'examples': ['#/email'],
        }
    )
    detail = fields.String(metadata={'maxLength': MAX_MESSAGE_LENGTH, 'examples': ['Longer than maximum length 120.']})


class ProblemSchema(ResponseSchema):
    """An error as problem details (RFC 9457)."""

    type = fields.String(
        validate=validate.OneOf([problem.url for problem in PROBLEMS.values()]),
        metadata={
            'description': 'The problem type: the URL of its documentation.',
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
            'description': 'What is wrong. Absent if there is nothing to add.',
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
            'description': 'Errors by field.',
            'maxItems': MAX_ERRORS,
            'examples': [[{'pointer': '#/email', 'detail': 'Longer than maximum length 120.'}]],
            'optional': True,
        },
    )


class ProblemTypeSchema(ResponseSchema):
    """A problem type."""

    name = fields.String()
    status = fields.Integer()
    cause = fields.String()
    remedy = fields.String()
    links = Links('ProblemTypeLinks', self='/problems/{name}')
