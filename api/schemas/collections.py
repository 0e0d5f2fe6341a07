"""Pages of collections, and how to ask for one."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from api.schemas.base import MAX_URL_LENGTH, RequestSchema, ResponseSchema

MAX_PER_PAGE = 100
MAX_PAGE = 2**31 - 1


class ClampedInteger(fields.Integer):
    """A number from a query that is never refused: what is none gives the default, what is out of range the nearest."""

    def __init__(self, *, default: int, minimum: int, maximum: int, metadata: Mapping[str, Any]):
        # A number it should be, and nothing is refused: the document has to say both.
        super().__init__(load_default=default, metadata={'type': ['integer', 'string'], **metadata})
        self.default, self.minimum, self.maximum = default, minimum, maximum

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        match = re.fullmatch(r'\s*([+-]?)([0-9]+)\s*', str(value), re.ASCII)
        if not match:
            return self.default
        # Twenty digits are enough to be out of every range; int() refuses thousands.
        return max(self.minimum, min(self.maximum, int(match[1] + (match[2].lstrip('0')[:20] or '0'))))


PER_PAGE = ClampedInteger(
    default=10,
    minimum=1,
    maximum=MAX_PER_PAGE,
    metadata={'description': f'Items a page, from 1 to {MAX_PER_PAGE}. What is out of range gives the nearest.'},
)


class TimelineRequestSchema(RequestSchema):
    """Which part of a timeline."""

    per_page = PER_PAGE
    after = fields.String(
        metadata={'description': 'The position to go on behind, as a link gives it; empty: from the first item.'}
    )
    before = fields.String(
        metadata={'description': 'The position to go back from, as a link gives it; empty: from the last item.'}
    )


class PageRequestSchema(TimelineRequestSchema):
    """Which page of a collection."""

    page = ClampedInteger(
        default=1,
        minimum=1,
        maximum=MAX_PAGE,
        metadata={
            'description': 'The page, from 1. What is not a number gives the default, what is out of range the '
            'nearest. With `after` or `before` it only counts.'
        },
    )


class PageMetaSchema(ResponseSchema):
    """Where in a collection a page is, by the numbers that were used."""

    page = fields.Integer(metadata={'minimum': 1, 'examples': [1]})
    per_page = fields.Integer(metadata={'format': 'int32', 'minimum': 1, 'maximum': MAX_PER_PAGE, 'examples': [10]})
    total_pages = fields.Integer(metadata={'minimum': 0, 'examples': [20]})
    total_items = fields.Integer(metadata={'minimum': 0, 'examples': [195]})


class PageLinksSchema(ResponseSchema):
    """This page and its neighbours."""

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
    """The base of all pages, which say what their items are."""

    items = fields.Nested(ResponseSchema, many=True)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        if field_name == 'items':
            field_obj.metadata = {'maxItems': MAX_PER_PAGE, **field_obj.metadata}


class CollectionSchema(PagedSchema):
    """The base of the pages of collections."""

    meta = fields.Nested(PageMetaSchema, data_key='_meta')
    links = fields.Nested(PageLinksSchema, data_key='_links')


class TimelineMetaSchema(ResponseSchema):
    """How many items a page has at most."""

    per_page = fields.Integer(metadata={'format': 'int32', 'minimum': 1, 'maximum': MAX_PER_PAGE, 'examples': [10]})


class TimelineLinksSchema(ResponseSchema):
    """This page and its neighbours. The one to what is newer is always there, so that it can be polled."""

    self = fields.String(
        metadata={'format': 'uri-reference', 'maxLength': MAX_URL_LENGTH, 'examples': ['/api/posts?per_page=10']}
    )
    next = fields.String(
        allow_none=True,
        metadata={
            'description': 'What follows in the order of the timeline.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/posts?per_page=10&after=AAAAAAAAAHsQp0NWhOm_Xw'],
        },
    )
    prev = fields.String(
        allow_none=True,
        metadata={
            'description': 'What comes before in the order of the timeline.',
            'format': 'uri-reference',
            'maxLength': MAX_URL_LENGTH,
            'examples': ['/api/posts?per_page=10&before=AAAAAAAAAITQQ2Ihm0rRzg'],
        },
    )


class TimelineSchema(PagedSchema):
    """The base of the pages of timelines: collections without numbers."""

    meta = fields.Nested(TimelineMetaSchema, data_key='_meta')
    links = fields.Nested(TimelineLinksSchema, data_key='_links')
