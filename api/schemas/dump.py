"""Schemas compiled to functions: what marshmallow would dump, for a fraction of its time.

A schema is walked once for each kind of record that it meets, and closures are put together. A record is a named
tuple (a row is one) or a mapping; a member that it lacks is left out, as marshmallow does. What the compiler does not
know (dump hooks, other fields, other objects) is left to marshmallow. The result is for the JSON encoder: a moment
stays a datetime, which the encoder writes as marshmallow would.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from marshmallow import Schema, fields

from api.schemas.links import FromRecord

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
        plain: dict[str, int] = {}
        made: dict[str, Dump] = {}
        keys: list[str] = []
        for name, field in self.schema.dump_fields.items():
            source = field.attribute or name
            if source not in index and not isinstance(field, FromRecord):
                continue
            key = field.data_key or name
            keys.append(key)
            if is_plain(field):
                plain[key] = index[source]
            elif make := compile_field(field, source, index):
                made[key] = make
            else:
                return self._marshmallow(members)
        return self._marshmallow(members) if has_dump_hooks(self.schema) else assemble(keys, plain, made)

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


def compile_field(field: fields.Field[Any], source: str, index: Mapping[str, int]) -> Dump | None:
    """A function of the whole record for a field that is not plain; None for one that only marshmallow knows."""
    if isinstance(field, FromRecord):
        return field.compiled(index)
    if type(field) is fields.Nested:
        dump, place = CompiledDump(field.schema), index[source]
        return (lambda record: dump.many(record[place])) if field.many else (lambda record: dump(record[place]))
    return None


def assemble(keys: Sequence[str], plain: Mapping[str, int], made: Mapping[str, Dump]) -> Dump:
    """A function from a record to a dict with the keys in this order."""
    blank = dict.fromkeys(keys)
    names, makers = tuple(plain), tuple(made.items())
    pick = itemgetter(*plain.values()) if len(plain) > 1 else lambda record: [record[place] for place in plain.values()]

    def dump(record: Any) -> dict[str, Any]:
        dumped: dict[str, Any] = blank.copy()
        dumped.update(zip(names, pick(record), strict=False))
        for key, make in makers:
            dumped[key] = make(record)
        return dumped

    return dump
