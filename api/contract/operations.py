"""What differs between two states of an operation.

What clients send can become more, what they get can become less; the opposite breaks those who rely on the old state.
docs/decisions/0011-contract-changes.md has the rules that do not follow from that.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from api.contract.schemas import Difference, Json, Schemas, resolve

# The schemes that credentials may have, with their scopes.
Way = Mapping[str, list[str]]


class Found(NamedTuple):
    """part: of the operation, as a sentence begins. at: the member, header or parameter; both may be empty."""

    breaking: bool
    part: str
    what: str
    at: str = ''


def of_operation(schemas: Schemas, old: Json, new: Json) -> Iterator[Found]:
    if new.get('deprecated') and not old.get('deprecated'):
        yield Found(False, '', 'deprecated')
    yield from of_credentials(ways_in(old), ways_in(new))
    for place in ('path', 'query', 'header', 'cookie'):
        for difference in of_parameters(schemas, old, new, place):
            yield Found(difference.lost, f'{place} parameter', difference.what, difference.at)
    for difference in of_body(schemas, old.get('requestBody', {}), new.get('requestBody', {})):
        yield Found(difference.lost, part_named('body', difference), difference.what, difference.at)
    yield from of_answers(schemas, old['responses'], new['responses'])


def part_named(whole: str, difference: Difference, kind: str = 'member') -> str:
    return f'{whole}, {kind}' if difference.at else whole


def ways_in(operation: Json) -> list[Way]:
    return operation.get('security') or [{}]


def of_credentials(old: list[Way], new: list[Way]) -> Iterator[Found]:
    before, after = (' or '.join(map(named, ways)) for ways in (old, new))
    if before != after:
        breaking = not all(any(is_enough(held, asked) for asked in new) for held in old)
        yield Found(breaking, '', f'needs {after}, formerly {before}')


def is_enough(held: Way, asked: Way) -> bool:
    return all(name in held and set(scopes) <= set(held[name]) for name, scopes in asked.items())


def named(way: Way) -> str:
    names = (' with '.join([f'`{name}`', *(f'`{scope}`' for scope in scopes)]) for name, scopes in way.items())
    return ' and '.join(names) or 'no credentials'


def of_parameters(schemas: Schemas, old: Json, new: Json, place: str) -> Iterator[Difference]:
    before, after = (
        as_members(document, parameters_in(document, operation, place))
        for document, operation in ((schemas.old, old), (schemas.new, new))
    )
    return schemas.differences(before, after)


def parameters_in(document: Json, operation: Json, place: str) -> Json:
    resolved = (resolve(document, parameter) for parameter in operation['parameters'])
    return {parameter['name']: parameter for parameter in resolved if parameter['in'] == place}


def as_members(document: Json, parts: Json) -> Json:
    """Parameters or headers as the members of a schema, so that they are compared as those are."""
    resolved = {name: resolve(document, part) for name, part in parts.items()}
    return {
        'type': 'object',
        # How they are written is no matter of schemas, and must not change either.
        'properties': {
            name: part['schema'] | {'style': part.get('style', 'usual'), 'explode': part.get('explode', 'usual')}
            for name, part in resolved.items()
        },
        'required': [name for name, part in resolved.items() if part.get('required')],
    }


def of_body(schemas: Schemas, old: Json, new: Json) -> Iterator[Difference]:
    was, now = old.get('required', False), new.get('required', False)
    if was != now:
        yield Difference(now, was, '', 'required' if now else 'optional')
    yield from of_content(schemas, old, new)


def of_content(schemas: Schemas, old: Json, new: Json) -> Iterator[Difference]:
    before, after = old.get('content', {}), new.get('content', {})
    for media_type in before | after:
        if media_type not in after:
            yield Difference(True, True, '', f'never `{media_type}` any more')
        elif media_type not in before:
            yield Difference(False, False, '', f'may be `{media_type}`, too')
        else:
            yield from schemas.differences(before[media_type]['schema'], after[media_type]['schema'])


def of_answers(schemas: Schemas, old: Json, new: Json) -> Iterator[Found]:
    """Which errors there are may change: every client has to reckon with any."""
    for status in old.keys() ^ new.keys():
        yield Found(status.startswith('2'), 'status', 'new' if status in new else 'gone', status)
    kept = [status for status in old if status in new]
    found: dict[tuple[str, Difference], list[str]] = {}
    for status in kept:
        before, after = resolve(schemas.old, old[status]), resolve(schemas.new, new[status])
        for about in dict.fromkeys(of_answer(schemas, before, after)):
            found.setdefault(about, []).append(status)
    for (kind, difference), statuses in found.items():
        part = part_named(answers_named(statuses, kept), difference, kind)
        yield Found(difference.gained, part, difference.what, difference.at)


def of_answer(schemas: Schemas, old: Json, new: Json) -> Iterator[tuple[str, Difference]]:
    """With what it is about: a member or a header."""
    for difference in of_content(schemas, old, new):
        yield 'member', difference
    before, after = (
        as_members(document, answer.get('headers', {})) for document, answer in ((schemas.old, old), (schemas.new, new))
    )
    for difference in schemas.differences(before, after):
        yield 'header', difference


def answers_named(statuses: list[str], kept: list[str]) -> str:
    if len(statuses) == 1:
        return f'answer {statuses[0]}'
    if statuses == kept:
        return 'every answer'
    if statuses == [status for status in kept if status >= '4']:
        return 'every error'
    return f'answers {", ".join(statuses)}'
