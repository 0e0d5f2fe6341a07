"""Schemas compiled to functions: what marshmallow would dump, for a fraction of its time.

A schema is walked once for each kind of record that it meets, and becomes the source of a function that makes a dict.
A record is a named tuple (a row is one) or a mapping; a member that it lacks is left out, as marshmallow does. What the
compiler does not know (dump hooks, other fields, other objects) is left to marshmallow. The result is for the JSON
encoder: a moment stays a datetime, which the encoder writes as marshmallow would.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from api.schemas.links import FromRecord, Names

Dump = Callable[[Any], Any]

# Fields that give the value of a column of the fitting type as it is.
PLAIN = (fields.Integer, fields.String, fields.Boolean, fields.DateTime)


class CompiledDump:
    """`dump(record)` and `dump.many(records)` for one schema."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self._plans: dict[tuple[str, ...], Dump] = {}

    def __call__(self, record: Any) -> Any:
        if isinstance(record, Mapping):
            return self.plan(tuple(record))(tuple(record.values()))
        members = getattr(record, '_fields', None)
        return self.plan(members)(record) if members else self.schema.dump(record, many=False)

    def many(self, records: Sequence[Any]) -> list[Any]:
        """Dumps records that all have the members of the first, which are named tuples."""
        return list(map(self.plan(records[0]._fields), records)) if records else []

    def plan(self, members: tuple[str, ...]) -> Dump:
        """The function for records with these members, in this order."""
        try:
            return self._plans[members]
        except KeyError:
            return self._plans.setdefault(members, self._compile(members))

    def _compile(self, members: tuple[str, ...]) -> Dump:
        index = {member: place for place, member in enumerate(members)}
        names = Names()
        items: list[str] = []
        for name, field in self.schema.dump_fields.items():
            source = field.attribute or name
            if source not in index and not isinstance(field, FromRecord):
                continue
            value = value_of(field, source, index, names)
            if value is None:
                return self._marshmallow(members)
            items.append(f'{field.data_key or name!r}: {value}')
        if has_dump_hooks(self.schema):
            return self._marshmallow(members)
        dump: Dump = eval(f'lambda record: {{{", ".join(items)}}}', names)  # noqa: S307 (of names in our own code)
        return dump

    def _marshmallow(self, members: tuple[str, ...]) -> Dump:
        # A nested schema may be one for many; this is one of them.
        return lambda values: self.schema.dump(dict(zip(members, values, strict=True)), many=False)


def is_plain(field: fields.Field[Any]) -> bool:
    stock = next((kind for kind in PLAIN if isinstance(field, kind)), None)
    if stock is None or type(field)._serialize is not stock._serialize:
        return False
    return not getattr(field, 'as_string', False) and getattr(field, 'format', None) in (None, 'iso')


def has_dump_hooks(schema: Schema) -> bool:
    return bool(schema._hooks['pre_dump'] or schema._hooks['post_dump'])


def value_of(field: fields.Field[Any], source: str, index: Mapping[str, int], names: Names) -> str | None:
    """The value as Python source, where `record` is the record; None for a field that only marshmallow knows."""
    if isinstance(field, FromRecord):
        return field.compiled(index, names)
    if is_plain(field):
        return f'record[{index[source]}]'
    if type(field) is fields.Nested:
        dump = CompiledDump(field.schema)
        return f'{names.of(dump.many if field.many else dump)}(record[{index[source]}])'
    return None
