"""Schemas compiled to functions that return what marshmallow would dump, in a fraction of the time.

A schema is compiled once for each tuple of columns, to the source of a function that builds a dict. A record is a named
tuple, such as a row, or a mapping. A column that the record lacks is left out, as in marshmallow. Everything that the
compiler does not support (dump hooks, other fields, other objects) is delegated to marshmallow. The result is for the
JSON encoder: times remain datetime objects, which the encoder formats as marshmallow would.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from api.serialization.computed import ComputedField, Namespace

Dump = Callable[[Any], Any]

# Fields that return the value of a column of the matching type unchanged.
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
        """Dump named tuples, all with the same fields as the first."""
        return list(map(self.compile_for(records[0]._fields), records)) if records else []

    def compile_for(self, columns: tuple[str, ...]) -> Dump:
        """Return the function for records with these columns, in this order."""
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
        dump: Dump = eval(f'lambda record: {{{", ".join(items)}}}', namespace)  # noqa: S307 (built from names in our own code)
        return dump

    def _marshmallow(self, columns: tuple[str, ...]) -> Dump:
        # A nested schema may have many=True; this function dumps a single record.
        return lambda values: self.schema.dump(dict(zip(columns, values, strict=True)), many=False)


def is_plain_field(field: fields.Field[Any]) -> bool:
    plain_type = next((field_type for field_type in PLAIN_FIELDS if isinstance(field, field_type)), None)
    if plain_type is None or type(field)._serialize is not plain_type._serialize:
        return False
    return not getattr(field, 'as_string', False) and getattr(field, 'format', None) in (None, 'iso')


def has_dump_hooks(schema: Schema) -> bool:
    return bool(schema._hooks['pre_dump'] or schema._hooks['post_dump'])


def value_source(field: fields.Field[Any], source: str, index: Mapping[str, int], namespace: Namespace) -> str | None:
    """Return the value as a Python expression over `record`, or None for a field that only marshmallow can dump."""
    if isinstance(field, ComputedField):
        return field.compile(index, namespace)
    if is_plain_field(field):
        return f'record[{index[source]}]'
    if type(field) is fields.Nested:
        dump = CompiledDump(field.schema)
        return f'{namespace.bind(dump.many if field.many else dump)}(record[{index[source]}])'
    return None
