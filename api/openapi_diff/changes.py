"""What changed between two OpenAPI documents, in sentences for clients, and whether it breaks them."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from api.openapi_diff.operations import OperationChange, as_object_schema, diff_operation
from api.openapi_diff.schemas import Json, Schemas


class Change(NamedTuple):
    """operation: its method and path; empty where it is about all of them."""

    breaking: bool
    operation: str
    what: str

    @property
    def line(self) -> str:
        return f'{self.operation or "All operations"}: {self.what}'


def diff_documents(old: Json, new: Json) -> list[Change]:
    """All changes, those first that break clients."""
    schemas = Schemas(old, new)
    before, after = list_operations(old), list_operations(new)
    changes_by_operation = {
        name: set(diff_operation(schemas, before[name], after[name])) for name in before if name in after
    }
    common = set.intersection(*changes_by_operation.values()) if len(changes_by_operation) > 1 else set()
    found = [Change(True, name, 'Gone.') for name in before if name not in after]
    found += merge_changes('', common | set(diff_security_schemes(old, new)) | set(diff_common_headers(schemas)))
    for name in changes_by_operation:
        found += merge_changes(name, changes_by_operation[name] - common)
    found += [Change(False, name, f'New: {after[name]["summary"]}.') for name in after if name not in before]
    return sorted(found, key=lambda change: not change.breaking)


def list_operations(document: Json) -> dict[str, Json]:
    return {
        f'{method.upper()} {path}': operation
        for path, methods in document['paths'].items()
        for method, operation in methods.items()
    }


def diff_security_schemes(old: Json, new: Json) -> Iterator[OperationChange]:
    """How credentials are sent."""
    before, after = (document.get('components', {}).get('securitySchemes', {}) for document in (old, new))
    for name in before:
        if name in after and before[name] | {'description': ''} != after[name] | {'description': ''}:
            yield OperationChange(True, 'credentials', 'sent in another way', name)


def diff_common_headers(schemas: Schemas) -> Iterator[OperationChange]:
    """Those that every answer has."""
    before, after = (as_object_schema(document, document.get('x-headers', {})) for document in schemas)
    for difference in schemas.diff(before, after):
        yield OperationChange(difference.widened, 'every answer, header', difference.what, difference.at)


def merge_changes(operation: str, changes: set[OperationChange]) -> Iterator[Change]:
    """Members of which the same is to be said share a sentence."""
    for (breaking, part, what), group in groupby(sorted(changes), key=lambda change: change[:3]):
        names = ', '.join(f'`{change.at}`' for change in group if change.at)
        place = ' '.join(filter(None, [part, names]))
        sentence = f'{place}: {what}.' if place else f'{what}.'
        yield Change(breaking, operation, sentence[0].upper() + sentence[1:])
