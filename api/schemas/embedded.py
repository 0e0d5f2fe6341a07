"""Objects embedded in a row, as columns with a prefix: `author_id`, `author_username`."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, utils

from api.schemas.base import ResponseSchema
from api.serialization.compiler import CompiledDump
from api.serialization.computed import ComputedField, Namespace


class Embedded(ComputedField, fields.Nested):
    """An object built from the columns of a row whose names start with the prefix."""

    def __init__(self, schema: type[ResponseSchema], *, prefix: str):
        super().__init__(schema)
        self.prefix = prefix

    @property
    def columns(self) -> list[str]:
        schema: Any = self.schema
        return [self.prefix + column for column in schema.columns]

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        inner = {column.removeprefix(self.prefix): utils.get_value(obj, column) for column in self.columns}
        return self.schema.dump(inner)

    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        # The nested function gets the same row. Columns without the prefix get names that no schema field can have.
        columns = sorted(index, key=index.__getitem__)
        dump = CompiledDump(self.schema).compile_for(tuple(self.strip_prefix(name) for name in columns))
        return f'{namespace.bind(dump)}(record)'

    def strip_prefix(self, name: str) -> str:
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else f'{name} outside'
