"""What changed between two OpenAPI documents, in sentences for clients, and whether it breaks them."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from api.contract.operations import Found, as_members, of_operation
from api.contract.schemas import Json, Schemas


class Change(NamedTuple):
    """operation: its method and path; empty where it is about all of them."""

    breaking: bool
    operation: str
    what: str

    @property
    def line(self) -> str:
        return f'{self.operation or "All operations"}: {self.what}'


def changes(old: Json, new: Json) -> list[Change]:
    """All changes, those first that break clients."""
    schemas = Schemas(old, new)
    before, after = operations_of(old), operations_of(new)
    kept = {name: set(of_operation(schemas, before[name], after[name])) for name in before if name in after}
    everywhere = set.intersection(*kept.values()) if len(kept) > 1 else set()
    made = [Change(True, name, 'Gone.') for name in before if name not in after]
    made += sentences('', everywhere | set(of_schemes(old, new)) | set(of_headers(schemas)))
    for name in kept:
        made += sentences(name, kept[name] - everywhere)
    made += [Change(False, name, f'New: {after[name]["summary"]}.') for name in after if name not in before]
    return sorted(made, key=lambda change: not change.breaking)


def operations_of(document: Json) -> dict[str, Json]:
    return {
        f'{method.upper()} {path}': operation
        for path, methods in document['paths'].items()
        for method, operation in methods.items()
    }


def of_schemes(old: Json, new: Json) -> Iterator[Found]:
    """How credentials are sent."""
    before, after = (document.get('components', {}).get('securitySchemes', {}) for document in (old, new))
    for name in before:
        if name in after and before[name] | {'description': ''} != after[name] | {'description': ''}:
            yield Found(True, 'credentials', 'sent in another way', name)


def of_headers(schemas: Schemas) -> Iterator[Found]:
    """Those that every answer has."""
    before, after = (as_members(document, document.get('x-headers', {})) for document in schemas)
    for difference in schemas.differences(before, after):
        yield Found(difference.gained, 'every answer, header', difference.what, difference.at)


def sentences(operation: str, found: set[Found]) -> Iterator[Change]:
    """Members of which the same is to be said share a sentence."""
    for (breaking, part, what), alike in groupby(sorted(found), key=lambda each: each[:3]):
        names = ', '.join(f'`{each.at}`' for each in alike if each.at)
        place = ' '.join(filter(None, [part, names]))
        sentence = f'{place}: {what}.' if place else f'{what}.'
        yield Change(breaking, operation, sentence[0].upper() + sentence[1:])
