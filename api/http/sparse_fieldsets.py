"""Sparse fieldsets: `?fields=id,username` returns only these fields, of one item or of each item in a collection."""

from functools import lru_cache
from typing import Any

from flask import request

from api.errors import ApiError
from api.problems import UNKNOWN_FIELD
from api.schemas.base import ResponseSchema

ITEMS = 'items'

# Bounds the cache, because a client could request every combination of fields.
MAX_CACHED_SCHEMAS = 256


def requested_schema(schema: ResponseSchema) -> ResponseSchema:
    """Return the schema restricted to the requested fields; all without `fields`. Raise 400 for an unknown field."""
    requested = requested_fields()
    return schema if requested is None else restrict_schema(schema, requested)


def requested_fields() -> str | None:
    """Return all values of `fields`, joined by commas; None if it is absent or the request is a write."""
    if not request.query_string or request.method not in ('GET', 'HEAD'):
        return None
    requested = request.args.getlist('fields')
    return ','.join(requested) if requested else None


@lru_cache(MAX_CACHED_SCHEMAS)
def restrict_schema(schema: ResponseSchema, requested: str) -> ResponseSchema:
    """Return the schema with only the requested fields. Raise 400 for an unknown or duplicate field."""
    available, prefix = selectable_fields(schema)
    names = requested.split(',')
    if unknown := [name for name in names if name not in available]:
        raise ApiError(UNKNOWN_FIELD, errors={'fields': [f'Unknown field {name}.' for name in unknown]})
    if len(set(names)) < len(names):
        raise ApiError(UNKNOWN_FIELD, 'duplicate field', {'fields': ['Contains a duplicate field.']})
    # The order of the schema, not of the request, so that equal sets give equal responses.
    chosen = [prefix + attribute for name, attribute in available.items() if name in names]
    others = [attribute for attribute in schema.dump_fields if prefix and attribute != ITEMS]
    return type(schema)(only=[*chosen, *others])


def selectable_fields(schema: ResponseSchema) -> tuple[dict[str, str], str]:
    """Return the selectable fields, as JSON names mapped to schema names, and the prefix of the schema names.

    For a collection these are the fields of its items, with the prefix `items.`.
    """
    items: Any = schema.dump_fields.get(ITEMS)
    fields = items.schema.dump_fields if items else schema.dump_fields
    return {field.data_key or name: name for name, field in fields.items()}, f'{ITEMS}.' if items else ''
