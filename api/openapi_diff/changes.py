"""Changes between two OpenAPI documents, as sentences for clients, with a flag for breaking changes."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from api.openapi_diff.operations import OperationChange, as_object_schema, diff_operation
from api.openapi_diff.schemas import Json, Schemas


class Change(NamedTuple):
    """One change. operation: method and path, empty if the change affects all operations."""

    breaking: bool
    operation: str
    what: str

    @property
    def line(self) -> str:
        return f'{self.operation or "All operations"}: {self.what}'


def diff_documents(old: Json, new: Json) -> list[Change]:
    """Return all changes, breaking changes first."""
    schemas = Schemas(old, new)
    before, after = list_operations(old), list_operations(new)
    changes_by_operation = {
        name: set(diff_operation(schemas, before[name], after[name])) for name in before if name in after
    }
    common = set.intersection(*changes_by_operation.values()) if len(changes_by_operation) > 1 else set()
    found = [Change(True, name, 'Removed.') for name in before if name not in after]
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
    """Yield changes of how credentials are sent."""
    before, after = (document.get('components', {}).get('securitySchemes', {}) for document in (old, new))
    for name in before:
        if name in after and before[name] | {'description': ''} != after[name] | {'description': ''}:
            yield OperationChange(True, 'credentials', 'sent in a different way', name)


def diff_common_headers(schemas: Schemas) -> Iterator[OperationChange]:
    """Yield changes of the headers that all responses have."""
    before, after = (as_object_schema(document, document.get('x-headers', {})) for document in schemas)
    for difference in schemas.diff(before, after):
        yield OperationChange(difference.widened, 'every response, header', difference.what, difference.at)


def merge_changes(operation: str, changes: set[OperationChange]) -> Iterator[Change]:
    """Merge changes with the same text into one sentence that lists their fields."""
    for (breaking, part, what), group in groupby(sorted(changes), key=lambda change: change[:3]):
        names = ', '.join(f'`{change.at}`' for change in group if change.at)
        place = ' '.join(filter(None, [part, names]))
        sentence = f'{place}: {what}.' if place else f'{what}.'
        yield Change(breaking, operation, sentence[0].upper() + sentence[1:])
