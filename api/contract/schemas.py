"""What differs between two schemas: what the one allows and the other refuses.

Whether that breaks anybody is not known here: it depends on who sends what the schemas describe.
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
INTEGERS = {'int32': 2**31, 'int64': 2**63}
MAX_LENGTH_SHOWN = 40
INNER = {'items': '[]', 'additionalProperties': '.*'}
# Nothing depends on these, or they are compared in a way of their own.
OTHERWISE = {'title', 'description', 'examples', 'deprecated', '$ref', 'type', 'properties', 'required', 'anyOf'}


class Difference(NamedTuple):
    """lost: whether something is refused that was allowed. gained: whether something is allowed that was refused.

    at: the member that it is about, `items[].text`; empty for the whole.
    """

    lost: bool
    gained: bool
    at: str
    what: str


def resolve(document: Json, part: Json) -> Json:
    """What the part refers to, with what stands beside the reference; the part itself where it is none."""
    if '$ref' not in part:
        return part
    target: Any = document
    for name in part['$ref'].removeprefix('#/').split('/'):
        target = target[name]
    return resolve(document, target) | part


class Schemas(NamedTuple):
    """Two documents whose schemas are compared."""

    old: Json
    new: Json

    def differences(self, old: Json, new: Json, at: str = '', within: References = frozenset()) -> Iterator[Difference]:
        """within: the references that led here, so that a schema within itself comes to an end."""
        references = old.get('$ref', ''), new.get('$ref', '')
        if references in within:
            return
        within |= {references} if all(references) else set()
        old, new = bounded(resolve(self.old, old)), bounded(resolve(self.new, new))
        if ('anyOf' in old) != ('anyOf' in new):
            old, new = ({'anyOf': schema.get('anyOf', [schema])} for schema in (old, new))
        before, after = types_of(old), types_of(new)
        yield from of_values(before, after, at)
        if (before & after) - {'null'}:
            yield from self.of_members(old, new, at, within)
            yield from self.of_alternatives(old, new, at, within)
            yield from self.of_keywords(old, new, at, within)

    def of_members(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        before, after = old.get('properties', {}), new.get('properties', {})
        for name in before | after:
            where = f'{at}.{name}' if at else name
            was, now = name in old.get('required', []), name in new.get('required', [])
            if name not in after:
                yield Difference(True, True, where, 'gone')
            elif name not in before:
                yield Difference(now, False, where, 'new, required' if now else 'new')
            else:
                if was != now:
                    yield Difference(now, was, where, 'required' if now else 'optional')
                yield from self.differences(before[name], after[name], where, within)

    def of_alternatives(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        before, after = ({name_of(each): each for each in schema.get('anyOf', [])} for schema in (old, new))
        yield from of_values(set(before), set(after), at)
        for name in before.keys() & after.keys():
            yield from self.differences(before[name], after[name], at, within)

    def of_keywords(self, old: Json, new: Json, at: str, within: References) -> Iterator[Difference]:
        """All other keywords, known or not: none may change without a word."""
        for keyword in sorted((old.keys() | new.keys()) - OTHERWISE):
            was, now = old.get(keyword), new.get(keyword)
            if keyword in INNER and isinstance(was, dict) and isinstance(now, dict):
                yield from self.differences(was, now, at + INNER[keyword], within)
            elif keyword == 'enum' and was and now:
                yield from of_values(set(map(shown, was)), set(map(shown, now)), at)
            elif was != now and not keyword.startswith('x-'):
                yield of_keyword(keyword, was, now, at)


def of_values(before: set[str], after: set[str], at: str) -> Iterator[Difference]:
    if gained := sorted(after - before):
        yield Difference(False, True, at, f'may be {", ".join(gained)}, too')
    if lost := sorted(before - after):
        yield Difference(True, False, at, f'never {", ".join(lost)} any more')


def of_keyword(keyword: str, was: Any, now: Any, at: str) -> Difference:
    """A keyword that is absent allows everything."""
    if keyword in BOUNDS:
        sign = 1 if 'max' in keyword.lower() else -1
        before, after = (inf if bound is None else sign * bound for bound in (was, now))
        lost, gained = after < before, after > before
    elif keyword == 'default':
        # Whoever leaves it out gets something else, which no other value makes up for.
        lost, gained = True, False
    else:
        lost, gained = now is not None, was is not None
    texts = value_named(keyword, now), value_named(keyword, was)
    what = ', formerly '.join(texts) if texts[0] != texts[1] else f'another {keyword}'
    return Difference(lost, gained, at, what)


def value_named(keyword: str, value: Any) -> str:
    if value is None:
        return 'without limit' if keyword in BOUNDS else f'no {keyword}'
    if keyword in BOUNDS:
        return BOUNDS[keyword].format(value)
    text = shown(value)
    return f'{keyword} `{text}`' if len(text) <= MAX_LENGTH_SHOWN else f'a {keyword}'


def bounded(schema: Json) -> Json:
    """The schema with the bounds that a format of integers stands for, which is nothing else."""
    limit = INTEGERS.get(schema.get('format', ''))
    if limit is None:
        return schema
    said = {keyword: value for keyword, value in schema.items() if keyword != 'format'}
    minimum, maximum = max(-limit, said.get('minimum', -limit)), min(limit - 1, said.get('maximum', limit - 1))
    return {**said, 'minimum': minimum, 'maximum': maximum}


def types_of(schema: Json) -> set[str]:
    named = schema.get('type', TYPES)
    types = {named} if isinstance(named, str) else set(named)
    return types | {'integer'} if 'number' in types else types


def name_of(schema: Json) -> str:
    if '$ref' in schema:
        return str(schema['$ref'].rpartition('/')[2])
    return str(schema['type']) if list(schema) == ['type'] else shown(schema)


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
