"""Pages of collections and timelines, and their query parameters."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from api.schemas.base import MAX_URL_LENGTH, RequestSchema, ResponseSchema

MAX_PER_PAGE = 100
MAX_PAGE = 2**31 - 1


class ClampedInteger(fields.Integer):
    """An integer query parameter without errors: an invalid value gives the default, others are clamped."""

    def __init__(self, *, default: int, minimum: int, maximum: int, metadata: Mapping[str, Any]):
        # Clients should send integers, but strings are accepted as well: the OpenAPI document states both.
        super().__init__(load_default=default, metadata={'type': ['integer', 'string'], **metadata})
        self.default, self.minimum, self.maximum = default, minimum, maximum

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        match = re.fullmatch(r'\s*([+-]?)([0-9]+)\s*', str(value), re.ASCII)
        if not match:
            return self.default
        # Twenty digits are out of every range; int() raises ValueError for thousands of digits.
        return max(self.minimum, min(self.maximum, int(match[1] + (match[2].lstrip('0')[:20] or '0'))))


PER_PAGE = ClampedInteger(
    default=10,
    minimum=1,
    maximum=MAX_PER_PAGE,
    metadata={'description': f'Items per page, from 1 to {MAX_PER_PAGE}. Default 10. Values out of range are clamped.'},
)


class TimelineRequestSchema(RequestSchema):
    """The query parameters of a timeline."""

    per_page = PER_PAGE
    after = fields.String(
        metadata={'description': 'Return the items after this cursor, taken from a link. Empty: from the first item.'}
    )
    before = fields.String(
        metadata={'description': 'Return the items before this cursor, taken from a link. Empty: from the last item.'}
    )


class PageRequestSchema(TimelineRequestSchema):
    """The query parameters of a collection."""

    page = ClampedInteger(
        default=1,
        minimum=1,
        maximum=MAX_PAGE,
        metadata={
            'description': 'Page number. Default 1. Values out of range are clamped. With `after` or `before`, the '
            'cursor selects the items and `page` only sets the page numbers in the response.'
        },
    )


class PageMetaSchema(ResponseSchema):
    """Page number and totals, after clamping."""

    page = fields.Integer(metadata={'minimum': 1, 'examples': [1]})
    per_page = fields.Integer(metadata={'format': 'int32', 'minimum': 1, 'maximum': MAX_PER_PAGE, 'examples': [10]})
    total_pages = fields.Integer(metadata={'minimum': 0, 'examples': [20]})
    total_items = fields.Integer(metadata={'minimum': 0, 'examples': [195]})


class PageLinksSchema(ResponseSchema):
    """Links to this page, the next and the previous one."""

    self = fields.String(
        metadata={'format': 'uri-reference', 'maxLength': MAX_URL_LENGTH, 'examples': ['/api/users?page=1&per_page=10']}
    )
    next = fields.String(
        allow_none=True,
        metadata={
            'description': 'Null on the last page.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/users?page=2&per_page=10'],
        },
    )
    prev = fields.String(
        allow_none=True,
        metadata={
            'description': 'Null on the first page.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': [None],
        },
    )


class PagedSchema(ResponseSchema):
    """The base of all pages. Subclasses declare the schema of `items`."""

    items = fields.Nested(ResponseSchema, many=True)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        if field_name == 'items':
            field_obj.metadata = {'maxItems': MAX_PER_PAGE, **field_obj.metadata}


class CollectionSchema(PagedSchema):
    """The base of all pages of collections."""

    meta = fields.Nested(PageMetaSchema, data_key='_meta')
    links = fields.Nested(PageLinksSchema, data_key='_links')


class TimelineMetaSchema(ResponseSchema):
    """The maximum number of items in a page."""

    per_page = fields.Integer(metadata={'format': 'int32', 'minimum': 1, 'maximum': MAX_PER_PAGE, 'examples': [10]})


class TimelineLinksSchema(ResponseSchema):
    """Links to this page, the next and the previous one. The link to newer items is never null, so you can poll it."""

    self = fields.String(
        metadata={'format': 'uri-reference', 'maxLength': MAX_URL_LENGTH, 'examples': ['/api/posts?per_page=10']}
    )
    next = fields.String(
        allow_none=True,
        metadata={
            'description': 'The items that follow in the order of the timeline.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/posts?per_page=10&after=AAAAAAAAAHsQp0NWhOm_Xw'],
        },
    )
    prev = fields.String(
        allow_none=True,
        metadata={
            'description': 'The items that precede in the order of the timeline.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/posts?per_page=10&before=AAAAAAAAAITQQ2Ihm0rRzg'],
        },
    )


class TimelineSchema(PagedSchema):
    """The base of all pages of timelines: collections without page numbers and totals."""

    meta = fields.Nested(TimelineMetaSchema, data_key='_meta')
    links = fields.Nested(TimelineLinksSchema, data_key='_links')
