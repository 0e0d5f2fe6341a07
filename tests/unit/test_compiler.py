"""The compiled dump equals marshmallow's, byte for byte, for every response schema."""

import importlib
import pkgutil
from collections import namedtuple
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, post_dump

import api.schemas
from api.schemas.base import ResponseSchema
from api.schemas.embedded import Embedded
from api.schemas.links import Links
from api.schemas.tokens import ScopeList
from api.security.scopes import SCOPES, join_scopes
from api.serialization.compiler import CompiledDump
from api.serialization.computed import ComputedField


def response_schemas() -> list[type[ResponseSchema]]:
    for module in pkgutil.iter_modules(api.schemas.__path__):
        importlib.import_module(f'api.schemas.{module.name}')
    found = [ResponseSchema]
    for schema in found:
        found += schema.__subclasses__()
    return [schema for schema in found if schema().fields]


moments = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(codec='utf-8'))
scopes = st.lists(st.sampled_from(list(SCOPES))).map(join_scopes)


def values(field: fields.Field) -> st.SearchStrategy[Any]:
    """Return a strategy for the values that the database or a view gives a field."""
    value: st.SearchStrategy[Any]
    if isinstance(field, fields.Nested):
        record = records(field.schema)
        value = st.lists(record, max_size=3) if field.many else record
    elif isinstance(field, fields.Integer):
        value = st.integers(-(2**63), 2**63 - 1)
    elif isinstance(field, fields.Boolean):
        value = st.booleans()
    elif isinstance(field, fields.DateTime):
        value = moments
    elif isinstance(field, ScopeList):
        value = st.none() | scopes
    elif isinstance(field, fields.List):
        value = st.lists(values(field.inner), max_size=3)
    elif isinstance(field, fields.Dict):
        value = st.dictionaries(texts, st.lists(texts, max_size=2), max_size=3)
    elif type(field) is fields.Raw:
        value = st.dictionaries(texts, st.none() | texts | st.booleans(), max_size=3)
    else:
        assert isinstance(field, fields.String)
        value = texts
    return st.none() | value if field.allow_none else value


def columns_of(schema: Schema) -> dict[str, st.SearchStrategy[Any]]:
    columns: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in schema.dump_fields.items():
        if isinstance(field, Embedded):
            columns |= {field.prefix + column: value for column, value in columns_of(field.schema).items()}
        elif isinstance(field, Links):
            for template in field.templates.values():
                value = st.none() | texts if template.nullable else texts
                columns |= {column: value for column in template.columns if column not in columns}
        else:
            columns[field.attribute or name] = values(field)
    return columns


def records(schema: Schema) -> st.SearchStrategy[Any]:
    """Return a strategy for named tuples with the columns that the schema needs and one that it does not."""
    columns = columns_of(schema) | {'unused': st.integers()}
    record = namedtuple('record', columns)
    return st.builds(record, **columns)


@pytest.mark.parametrize('schema', [schema() for schema in response_schemas()], ids=lambda item: type(item).__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bytes_equal_marshmallow(schema: ResponseSchema, data: st.DataObject) -> None:
    record = data.draw(records(schema))
    expected = orjson.dumps(schema.dump(record))
    assert orjson.dumps(schema.compiled(record)) == expected
    assert orjson.dumps(schema.compiled.many([record, record])) == b'[' + expected + b',' + expected + b']'


@pytest.mark.parametrize('schema', [schema() for schema in response_schemas()], ids=lambda item: type(item).__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_missing_columns_are_omitted(schema: ResponseSchema, data: st.DataObject) -> None:
    whole = data.draw(records(schema))._asdict()
    needed = {
        column for field in schema.fields.values() if isinstance(field, ComputedField) for column in field.columns
    }
    kept = sorted(needed | {'unused'} | set(data.draw(st.sets(st.sampled_from(sorted(whole))))))
    partial = namedtuple('partial', kept)(**{column: whole[column] for column in kept})
    assert orjson.dumps(schema.compiled(partial)) == orjson.dumps(schema.dump(partial))


class Unknown(fields.Field):
    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return f'<{value}>'


class UnknownSchema(Schema):
    name = fields.String()
    odd = Unknown()


class HookedSchema(Schema):
    name = fields.String()

    @post_dump
    def shout(self, dumped: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {'name': dumped['name'].upper()}


class FormattedSchema(Schema):
    moment = fields.DateTime(format='%Y')
    number = fields.Integer(as_string=True)


Record = namedtuple('Record', ['name', 'odd', 'moment', 'number'])
RECORD = Record('ana', 1, datetime(2021, 6, 20, tzinfo=UTC), 5)


@pytest.mark.parametrize('schema', [UnknownSchema, HookedSchema, FormattedSchema])
def test_unknown_fields_use_marshmallow(schema: type[Schema]) -> None:
    assert CompiledDump(schema())(RECORD) == schema().dump(RECORD)


def test_other_objects_use_marshmallow() -> None:
    class Plain:
        name = 'ana'
        odd = 1

    assert CompiledDump(UnknownSchema())(Plain()) == {'name': 'ana', 'odd': '<1>'}


def test_no_records_are_an_empty_list() -> None:
    assert CompiledDump(UnknownSchema()).many([]) == []


class TwoColumnsSchema(Schema):
    links = Links('Two', self='/users/{name}/{number}')


def test_link_with_several_columns():
    assert CompiledDump(TwoColumnsSchema())(RECORD) == {'_links': {'self': '/users/ana/5'}}
    assert TwoColumnsSchema().dump(RECORD) == {'_links': {'self': '/users/ana/5'}}
