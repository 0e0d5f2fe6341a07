"""The compiled dump is marshmallow's, byte for byte, for every response schema."""

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
    """Values as the database or a view gives them."""
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


def members_of(schema: Schema) -> dict[str, st.SearchStrategy[Any]]:
    members: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in schema.dump_fields.items():
        if isinstance(field, Embedded):
            members |= {field.prefix + member: value for member, value in members_of(field.schema).items()}
        elif isinstance(field, Links):
            for template in field.templates.values():
                value = st.none() | texts if template.nullable else texts
                members |= {member: value for member in template.columns if member not in members}
        else:
            members[field.attribute or name] = values(field)
    return members


def records(schema: Schema) -> st.SearchStrategy[Any]:
    """Named tuples with the members that the schema needs, and one that it does not."""
    members = members_of(schema) | {'position': st.integers()}
    record = namedtuple('record', members)
    return st.builds(record, **members)


@pytest.mark.parametrize('schema', [schema() for schema in response_schemas()], ids=lambda each: type(each).__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bytes_equal_marshmallow(schema: ResponseSchema, data: st.DataObject) -> None:
    record = data.draw(records(schema))
    expected = orjson.dumps(schema.dump(record))
    assert orjson.dumps(schema.compiled(record)) == expected
    assert orjson.dumps(schema.compiled.many([record, record])) == b'[' + expected + b',' + expected + b']'


@pytest.mark.parametrize('schema', [schema() for schema in response_schemas()], ids=lambda each: type(each).__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_missing_columns_are_omitted(schema: ResponseSchema, data: st.DataObject) -> None:
    whole = data.draw(records(schema))._asdict()
    needed = {
        member for field in schema.fields.values() if isinstance(field, ComputedField) for member in field.columns
    }
    kept = sorted(needed | {'position'} | set(data.draw(st.sets(st.sampled_from(sorted(whole))))))
    partial = namedtuple('partial', kept)(**{member: whole[member] for member in kept})
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


class TwoMembersSchema(Schema):
    links = Links('Two', self='/users/{name}/{number}')


def test_link_with_several_columns():
    assert CompiledDump(TwoMembersSchema())(RECORD) == {'_links': {'self': '/users/ana/5'}}
    assert TwoMembersSchema().dump(RECORD) == {'_links': {'self': '/users/ana/5'}}
