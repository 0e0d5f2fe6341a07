"""Schemas compiled to functions: what marshmallow would dump, for a fraction of its time.

A schema is walked once for each kind of record that it meets, and becomes the source of a function that makes a dict.
A record is a named tuple (a row is one) or a mapping; a member that it lacks is left out, as marshmallow does. What the
compiler does not know (dump hooks, other fields, other objects) is left to marshmallow. The result is for the JSON
encoder: a moment stays a datetime, which the encoder writes as marshmallow would.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from api.serialization.computed import ComputedField, Namespace

Dump = Callable[[Any], Any]

# Fields that give the value of a column of the fitting type as it is.
PLAIN_FIELDS = (fields.Integer, fields.String, fields.Boolean, fields.DateTime)


class CompiledDump:
    """`dump(record)` and `dump.many(records)` for one schema."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self._compiled: dict[tuple[str, ...], Dump] = {}

    def __call__(self, record: Any) -> Any:
        if isinstance(record, Mapping):
            return self.compile_for(tuple(record))(tuple(record.values()))
        columns = getattr(record, '_fields', None)
        return self.compile_for(columns)(record) if columns else self.schema.dump(record, many=False)

    def many(self, records: Sequence[Any]) -> list[Any]:
        """Dumps records that all have the members of the first, which are named tuples."""
        return list(map(self.compile_for(records[0]._fields), records)) if records else []

    def compile_for(self, columns: tuple[str, ...]) -> Dump:
        """The function for records with these members, in this order."""
        try:
            return self._compiled[columns]
        except KeyError:
            return self._compiled.setdefault(columns, self._compile(columns))

    def _compile(self, columns: tuple[str, ...]) -> Dump:
        index = {column: position for position, column in enumerate(columns)}
        namespace = Namespace()
        items: list[str] = []
        for name, field in self.schema.dump_fields.items():
            source = field.attribute or name
            if source not in index and not isinstance(field, ComputedField):
                continue
            value = value_source(field, source, index, namespace)
            if value is None:
                return self._marshmallow(columns)
            items.append(f'{field.data_key or name!r}: {value}')
        if has_dump_hooks(self.schema):
            return self._marshmallow(columns)
        dump: Dump = eval(f'lambda record: {{{", ".join(items)}}}', namespace)  # noqa: S307 (of names in our own code)
        return dump

    def _marshmallow(self, columns: tuple[str, ...]) -> Dump:
        # A nested schema may be one for many; this is one of them.
        return lambda values: self.schema.dump(dict(zip(columns, values, strict=True)), many=False)


def is_plain_field(field: fields.Field[Any]) -> bool:
    plain_type = next((field_type for field_type in PLAIN_FIELDS if isinstance(field, field_type)), None)
    if plain_type is None or type(field)._serialize is not plain_type._serialize:
        return False
    return not getattr(field, 'as_string', False) and getattr(field, 'format', None) in (None, 'iso')


def has_dump_hooks(schema: Schema) -> bool:
    return bool(schema._hooks['pre_dump'] or schema._hooks['post_dump'])


def value_source(field: fields.Field[Any], source: str, index: Mapping[str, int], namespace: Namespace) -> str | None:
    """The value as Python source, where `record` is the record; None for a field that only marshmallow knows."""
    if isinstance(field, ComputedField):
        return field.compile(index, namespace)
    if is_plain_field(field):
        return f'record[{index[source]}]'
    if type(field) is fields.Nested:
        dump = CompiledDump(field.schema)
        return f'{namespace.bind(dump.many if field.many else dump)}(record[{index[source]}])'
    return None
