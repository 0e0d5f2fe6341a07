"""Sparse answers: `?fields=id,username` asks for these members alone, of an item or of the items of a collection."""

from functools import lru_cache
from typing import Any

from flask import request

from api.errors import ApiError
from api.problems import UNKNOWN_FIELD
from api.schemas.base import ResponseSchema

ITEMS = 'items'

# The combinations that are remembered, lest somebody who tries them all fills the memory.
MAX_CACHED_SCHEMAS = 256


def requested_schema(schema: ResponseSchema) -> ResponseSchema:
    """The schema, or the part of it that the query asks for; 400 for a member that it does not have."""
    requested = requested_fields()
    return schema if requested is None else restrict_schema(schema, requested)


def requested_fields() -> str | None:
    """What `fields` says, however often; None where it is not there, or the request is a write."""
    if not request.query_string or request.method not in ('GET', 'HEAD'):
        return None
    requested = request.args.getlist('fields')
    return ','.join(requested) if requested else None


@lru_cache(MAX_CACHED_SCHEMAS)
def restrict_schema(schema: ResponseSchema, requested: str) -> ResponseSchema:
    available, prefix = selectable_fields(schema)
    names = requested.split(',')
    if unknown := [name for name in names if name not in available]:
        raise ApiError(UNKNOWN_FIELD, errors={'fields': [f'There is no member {name}.' for name in unknown]})
    if len(set(names)) < len(names):
        raise ApiError(UNKNOWN_FIELD, 'a member is named twice', {'fields': ['Names a member twice.']})
    # In the order of the schema, whatever order was asked for.
    chosen = [prefix + attribute for name, attribute in available.items() if name in names]
    others = [attribute for attribute in schema.dump_fields if prefix and attribute != ITEMS]
    return type(schema)(only=[*chosen, *others])


def selectable_fields(schema: ResponseSchema) -> tuple[dict[str, str], str]:
    """What may be asked for, by the names that clients see, with the names in the schema; and what comes before these.

    Of a collection it is the members of its items.
    """
    items: Any = schema.dump_fields.get(ITEMS)
    fields = items.schema.dump_fields if items else schema.dump_fields
    return {field.data_key or name: name for name, field in fields.items()}, f'{ITEMS}.' if items else ''
