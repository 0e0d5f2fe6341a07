"""The changes of the API."""

from marshmallow import fields

from api.schemas.base import ResponseSchema


class ApiChangeSchema(ResponseSchema):
    """A change of the API."""

    breaking = fields.Boolean(
        metadata={'description': 'Whether the change may break existing clients.', 'examples': [False]}
    )
    operation = fields.String(
        metadata={
            'description': 'Method and path; empty if the change affects all operations.',
            'maxLength': 100,
            'examples': ['POST /api/posts'],
        }
    )
    what = fields.String(metadata={'maxLength': 10_000, 'examples': ['Body, field `reply_to_id`: new.']})


class ReleaseSchema(ResponseSchema):
    """The changes of a release."""

    date = fields.String(
        allow_none=True,
        metadata={
            'description': 'Null for changes that are not released yet.',
            'format': 'date',
            'maxLength': 10,
            'examples': ['2026-11-22'],
        },
    )
    changes = fields.Nested(
        ApiChangeSchema, many=True, metadata={'description': 'Breaking changes first.', 'maxItems': 10_000}
    )


class ChangelogSchema(ResponseSchema):
    """All changes of the API by release, newest first."""

    items = fields.Nested(ReleaseSchema, many=True, metadata={'maxItems': 1000})
