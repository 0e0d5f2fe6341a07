"""Compare two versions of an operation.

A request may be widened and a response may be narrowed; the opposite breaks clients of the old version.
docs/decisions/0011-contract-changes.md has the rules that do not follow from that.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from api.openapi_diff.schemas import Difference, Json, Schemas, resolve

# Security schemes that are required together, with the scopes of each.
SecurityRequirement = Mapping[str, list[str]]


class OperationChange(NamedTuple):
    """One change. part: the part of the operation, which starts the sentence. at: the field, header or parameter.

    Both may be empty.
    """

    breaking: bool
    part: str
    what: str
    at: str = ''


def diff_operation(schemas: Schemas, old: Json, new: Json) -> Iterator[OperationChange]:
    if new.get('deprecated') and not old.get('deprecated'):
        yield OperationChange(False, '', 'deprecated')
    yield from diff_security(security_requirements(old), security_requirements(new))
    for location in ('path', 'query', 'header', 'cookie'):
        for difference in diff_parameters(schemas, old, new, location):
            yield OperationChange(difference.narrowed, f'{location} parameter', difference.what, difference.at)
    for difference in diff_body(schemas, old.get('requestBody', {}), new.get('requestBody', {})):
        yield OperationChange(difference.narrowed, describe_part('body', difference), difference.what, difference.at)
    yield from diff_responses(schemas, old['responses'], new['responses'])


def describe_part(whole: str, difference: Difference, subject: str = 'field') -> str:
    return f'{whole}, {subject}' if difference.at else whole


def security_requirements(operation: Json) -> list[SecurityRequirement]:
    return operation.get('security') or [{}]


def diff_security(old: list[SecurityRequirement], new: list[SecurityRequirement]) -> Iterator[OperationChange]:
    before, after = (' or '.join(map(describe_requirement, requirements)) for requirements in (old, new))
    if before != after:
        breaking = not all(any(satisfies(held, required) for required in new) for held in old)
        yield OperationChange(breaking, '', f'needs {after}, formerly {before}')


def satisfies(held: SecurityRequirement, required: SecurityRequirement) -> bool:
    return all(name in held and set(scopes) <= set(held[name]) for name, scopes in required.items())


def describe_requirement(requirement: SecurityRequirement) -> str:
    names = (' with '.join([f'`{name}`', *(f'`{scope}`' for scope in scopes)]) for name, scopes in requirement.items())
    return ' and '.join(names) or 'no credentials'


def diff_parameters(schemas: Schemas, old: Json, new: Json, location: str) -> Iterator[Difference]:
    before, after = (
        as_object_schema(document, select_parameters(document, operation, location))
        for document, operation in ((schemas.old, old), (schemas.new, new))
    )
    return schemas.diff(before, after)


def select_parameters(document: Json, operation: Json, location: str) -> Json:
    resolved = (resolve(document, parameter) for parameter in operation['parameters'])
    return {parameter['name']: parameter for parameter in resolved if parameter['in'] == location}


def as_object_schema(document: Json, parts: Json) -> Json:
    """Return parameters or headers as an object schema, so that they are compared like fields."""
    resolved = {name: resolve(document, part) for name, part in parts.items()}
    return {
        'type': 'object',
        # Their serialization is not part of a schema, but must not change either.
        'properties': {
            name: part['schema'] | {'style': part.get('style', 'usual'), 'explode': part.get('explode', 'usual')}
            for name, part in resolved.items()
        },
        'required': [name for name, part in resolved.items() if part.get('required')],
    }


def diff_body(schemas: Schemas, old: Json, new: Json) -> Iterator[Difference]:
    was, now = old.get('required', False), new.get('required', False)
    if was != now:
        yield Difference(now, was, '', 'required' if now else 'optional')
    yield from diff_content(schemas, old, new)


def diff_content(schemas: Schemas, old: Json, new: Json) -> Iterator[Difference]:
    before, after = old.get('content', {}), new.get('content', {})
    for media_type in before | after:
        if media_type not in after:
            yield Difference(True, True, '', f'no longer `{media_type}`')
        elif media_type not in before:
            yield Difference(False, False, '', f'can also be `{media_type}`')
        else:
            yield from schemas.diff(before[media_type]['schema'], after[media_type]['schema'])


def diff_responses(schemas: Schemas, old: Json, new: Json) -> Iterator[OperationChange]:
    """Yield changes of responses. New or removed error statuses are compatible: clients must expect any error."""
    for status in old.keys() ^ new.keys():
        yield OperationChange(status.startswith('2'), 'status', 'new' if status in new else 'removed', status)
    common = [status for status in old if status in new]
    found: dict[tuple[str, Difference], list[str]] = {}
    for status in common:
        before, after = resolve(schemas.old, old[status]), resolve(schemas.new, new[status])
        for about in dict.fromkeys(diff_response(schemas, before, after)):
            found.setdefault(about, []).append(status)
    for (subject, difference), statuses in found.items():
        part = describe_part(describe_statuses(statuses, common), difference, subject)
        yield OperationChange(difference.widened, part, difference.what, difference.at)


def diff_response(schemas: Schemas, old: Json, new: Json) -> Iterator[tuple[str, Difference]]:
    """Yield each difference with its subject: 'field' or 'header'."""
    for difference in diff_content(schemas, old, new):
        yield 'field', difference
    before, after = (
        as_object_schema(document, response.get('headers', {}))
        for document, response in ((schemas.old, old), (schemas.new, new))
    )
    for difference in schemas.diff(before, after):
        yield 'header', difference


def describe_statuses(statuses: list[str], common: list[str]) -> str:
    if len(statuses) == 1:
        return f'response {statuses[0]}'
    if statuses == common:
        return 'every response'
    if statuses == [status for status in common if status >= '4']:
        return 'every error'
    return f'responses {", ".join(statuses)}'
