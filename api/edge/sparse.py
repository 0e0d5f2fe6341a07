"""Sparse answers: `?fields=id,username` asks for these members alone, of an item or of the items of a collection."""

from functools import lru_cache
from typing import Any

from flask import request

from api.errors import ApiError
from api.problems import UNKNOWN_MEMBER
from api.schemas.base import ResponseSchema

ITEMS = 'items'

# The combinations that are remembered, lest somebody who tries them all fills the memory.
MOST_SHAPES = 256


def wanted(whole: ResponseSchema) -> ResponseSchema:
    """The schema, or the part of it that the query asks for; 400 for a member that it does not have."""
    asked = asked_fields()
    return whole if asked is None else part_of(whole, asked)


def asked_fields() -> str | None:
    """What `fields` says, however often; None where it is not there, or the request is a write."""
    if not request.query_string or request.method not in ('GET', 'HEAD'):
        return None
    asked = request.args.getlist('fields')
    return ','.join(asked) if asked else None


@lru_cache(MOST_SHAPES)
def part_of(whole: ResponseSchema, asked: str) -> ResponseSchema:
    members, prefix = members_of(whole)
    names = asked.split(',')
    if unknown := [name for name in names if name not in members]:
        raise ApiError(UNKNOWN_MEMBER, errors={'fields': [f'There is no member {name}.' for name in unknown]})
    if len(set(names)) < len(names):
        raise ApiError(UNKNOWN_MEMBER, 'a member is named twice', {'fields': ['Names a member twice.']})
    # In the order of the schema, whatever order was asked for.
    chosen = [prefix + attribute for name, attribute in members.items() if name in names]
    others = [attribute for attribute in whole.dump_fields if prefix and attribute != ITEMS]
    return type(whole)(only=[*chosen, *others])


def members_of(whole: ResponseSchema) -> tuple[dict[str, str], str]:
    """What may be asked for, by the names that clients see, with the names in the schema; and what comes before these.

    Of a collection it is the members of its items.
    """
    items: Any = whole.dump_fields.get(ITEMS)
    fields = items.schema.dump_fields if items else whole.dump_fields
    return {field.data_key or name: name for name, field in fields.items()}, f'{ITEMS}.' if items else ''
