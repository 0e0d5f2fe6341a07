"""What changed in the API."""

from marshmallow import fields

from api.schemas.base import ResponseSchema


class ApiChangeSchema(ResponseSchema):
    """A change of the contract."""

    breaking = fields.Boolean(
        metadata={'description': 'Whether it may break a client that relied on what was before.', 'examples': [False]}
    )
    operation = fields.String(
        metadata={
            'description': 'Its method and path; empty where it is about all operations.',
            'maxLength': 100,
            'examples': ['POST /api/posts'],
        }
    )
    what = fields.String(metadata={'maxLength': 10_000, 'examples': ['Body, member `reply_to_id`: new.']})


class ReleaseSchema(ResponseSchema):
    """What came with a release."""

    date = fields.String(
        allow_none=True,
        metadata={
            'description': 'Null for what is not released yet.',
            'format': 'date',
            'maxLength': 10,
            'examples': ['2026-11-22'],
        },
    )
    changes = fields.Nested(
        ApiChangeSchema, many=True, metadata={'description': 'Those first that break clients.', 'maxItems': 10_000}
    )


class ChangelogSchema(ResponseSchema):
    """All changes of the contract, by release, the newest first."""

    items = fields.Nested(ReleaseSchema, many=True, metadata={'maxItems': 1000})
