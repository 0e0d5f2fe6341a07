"""A row that brings another thing along, its columns with a prefix: `author_id`, `author_username`."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, utils

from api.schemas.base import ResponseSchema
from api.schemas.dump import CompiledDump
from api.schemas.links import FromRecord, Names


class Embedded(FromRecord, fields.Nested):
    """An object made of the members of a record that begin with the prefix."""

    def __init__(self, schema: type[ResponseSchema], *, prefix: str):
        super().__init__(schema)
        self.prefix = prefix

    @property
    def members(self) -> list[str]:
        schema: Any = self.schema
        return [self.prefix + member for member in schema.members]

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        whole = {member.removeprefix(self.prefix): utils.get_value(obj, member) for member in self.members}
        return self.schema.dump(whole)

    def compiled(self, index: Mapping[str, int], names: Names) -> str:
        # The same record under other names: what does not begin with the prefix is out of the schema's sight.
        outer = sorted(index, key=index.__getitem__)
        dump = CompiledDump(self.schema).plan(tuple(self.inner_name(name) for name in outer))
        return f'{names.of(dump)}(record)'

    def inner_name(self, name: str) -> str:
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else f'{name} outside'
