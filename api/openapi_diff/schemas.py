"""Compare two schemas: find the values that one accepts and the other rejects.

Whether a difference breaks clients depends on who sends the value, which the caller knows.
"""

import json
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

Json = dict[str, Any]
References = frozenset[tuple[str, str]]

TYPES = ('array', 'boolean', 'integer', 'null', 'number', 'object', 'string')
BOUNDS = {
    'maxLength': 'at most {} characters',
    'minLength': 'at least {} characters',
    'maximum': 'at most {}',
    'minimum': 'at least {}',
    'exclusiveMaximum': 'below {}',
    'exclusiveMinimum': 'above {}',
    'maxItems': 'at most {} items',
    'minItems': 'at least {} items',
}
INTEGER_LIMITS = {'int32': 2**31, 'int64': 2**63}
MAX_LENGTH_SHOWN = 40
NESTED_KEYWORDS = {'items': '[]', 'additionalProperties': '.*'}
# Annotations, and keywords that have their own comparison.
IGNORED_KEYWORDS = {'title', 'description', 'examples', 'deprecated', '$ref', 'type', 'properties', 'required', 'anyOf'}


class Difference(NamedTuple):
    """One difference. narrowed: accepted values are now rejected. widened: rejected values are now accepted.

    at: the path of the field, such as `items[].text`, empty for the whole schema.
    """

    narrowed: bool
    widened: bool
    at: str
    what: str


def resolve(document: Json, part: Json) -> Json:
    """Return the target of a `$ref`, merged with its sibling keywords; the part itself if it is not a reference."""
    if '$ref' not in part:
        return part
    target: Any = document
    for name in part['$ref'].removeprefix('#/').split('/'):
        target = target[name]
    return resolve(document, target) | part


class Schemas(NamedTuple):
    """Two documents with schemas to compare."""

    old: Json
    new: Json

    def diff(self, old: Json, new: Json, at: str = '', within: References = frozenset()) -> Iterator[Difference]:
        """Yield the differences. within: the references followed so far, so that recursive schemas terminate."""
        references = old.get('$ref', ''), new.get('$ref', '')
        if references in within:
            return
        within |= {references} if all(references) else set()
        old, new = normalize_bounds(resolve(self.old, old)), normalize_bounds(resolve(self.new, new))
        if ('anyOf' in old) != ('anyOf' in new):
            old, new = ({'anyOf': schema.get('anyOf', [schema])} for schema in (old, new))
        before, after = schema_types(old), schema_types(new)
        yield from diff_values(before, after, at)
        if (before & after) - {'null'}:
            yield from self.diff_properties(old, new, at, within)
            yield from self.diff_alternatives(old, new, at, within)
            yield from self.diff_keywords(old, new, at, within)

    def diff_properties(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        before, after = old.get('properties', {}), new.get('properties', {})
        for name in before | after:
            path = f'{at}.{name}' if at else name
            old_value, new_value = name in old.get('required', []), name in new.get('required', [])
            if name not in after:
                yield Difference(True, True, path, 'removed')
            elif name not in before:
                yield Difference(new_value, False, path, 'new, required' if new_value else 'new')
            else:
                if old_value != new_value:
                    yield Difference(new_value, old_value, path, 'required' if new_value else 'optional')
                yield from self.diff(before[name], after[name], path, within)

    def diff_alternatives(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        before, after = (
            {schema_name(alternative): alternative for alternative in schema.get('anyOf', [])} for schema in (old, new)
        )
        yield from diff_values(set(before), set(after), at)
        for name in before.keys() & after.keys():
            yield from self.diff(before[name], after[name], at, within)

    def diff_keywords(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        """Compare all other keywords. Changes of unknown keywords are reported too."""
        for keyword in sorted((old.keys() | new.keys()) - IGNORED_KEYWORDS):
            old_value, new_value = old.get(keyword), new.get(keyword)
            if keyword in NESTED_KEYWORDS and isinstance(old_value, dict) and isinstance(new_value, dict):
                yield from self.diff(old_value, new_value, at + NESTED_KEYWORDS[keyword], within)
            elif keyword == 'enum' and old_value and new_value:
                yield from diff_values(set(map(format_value, old_value)), set(map(format_value, new_value)), at)
            elif old_value != new_value and not keyword.startswith('x-'):
                yield diff_keyword(keyword, old_value, new_value, at)


def diff_values(before: set[str], after: set[str], at: str) -> Iterator[Difference]:
    if widened := sorted(after - before):
        yield Difference(False, True, at, f'can also be {", ".join(widened)}')
    if narrowed := sorted(before - after):
        yield Difference(True, False, at, f'no longer {", ".join(narrowed)}')


def diff_keyword(keyword: str, old_value: Any, new_value: Any, at: str) -> Difference:
    """Return the difference of one keyword. An absent keyword accepts every value."""
    if keyword in BOUNDS:
        sign = 1 if 'max' in keyword.lower() else -1
        before, after = (inf if bound is None else sign * bound for bound in (old_value, new_value))
        narrowed, widened = after < before, after > before
    elif keyword == 'default':
        # Clients that omit the value get different behaviour, which no other keyword compensates.
        narrowed, widened = True, False
    else:
        narrowed, widened = new_value is not None, old_value is not None
    texts = describe_value(keyword, new_value), describe_value(keyword, old_value)
    what = ', formerly '.join(texts) if texts[0] != texts[1] else f'different {keyword}'
    return Difference(narrowed, widened, at, what)


def describe_value(keyword: str, value: Any) -> str:
    """Return a keyword and its value as words. Long values are not shown."""
    if value is None:
        return 'without limit' if keyword in BOUNDS else f'no {keyword}'
    if keyword in BOUNDS:
        return BOUNDS[keyword].format(value)
    text = format_value(value)
    return f'{keyword} `{text}`' if len(text) <= MAX_LENGTH_SHOWN else f'a {keyword}'


def normalize_bounds(schema: Json) -> Json:
    """Return the schema with an int32 or int64 format replaced by the equivalent minimum and maximum."""
    limit = INTEGER_LIMITS.get(schema.get('format', ''))
    if limit is None:
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != 'format'}
    minimum, maximum = max(-limit, rest.get('minimum', -limit)), min(limit - 1, rest.get('maximum', limit - 1))
    return {**rest, 'minimum': minimum, 'maximum': maximum}


def schema_types(schema: Json) -> set[str]:
    declared = schema.get('type', TYPES)
    types = {declared} if isinstance(declared, str) else set(declared)
    return types | {'integer'} if 'number' in types else types


def schema_name(schema: Json) -> str:
    if '$ref' in schema:
        return str(schema['$ref'].rpartition('/')[2])
    return str(schema['type']) if list(schema) == ['type'] else format_value(schema)


def format_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
