"""What every schema has in common."""

import re
from functools import cached_property
from typing import Any

import marshmallow
import orjson
from flask import Response
from flask_marshmallow.sqla import SQLAlchemySchema
from marshmallow import EXCLUDE, fields
from marshmallow_sqlalchemy import ModelConverter
from sqlalchemy import String

from api.db.types import UTCDateTime
from api.serialization.compiler import CompiledDump
from api.serialization.computed import ComputedField

MAX_ID = 2**63 - 1
# The server reads no URL beyond 64 KiB, of which each byte may become three characters when it is repeated.
MAX_URL_LENGTH = 3 * 2**16 + 2**10

# What is true of all values of these kinds that go out: integers of the database, and moments to the second.
FIELD_BOUNDS: dict[type[fields.Field[Any]], dict[str, Any]] = {
    fields.Integer: {'format': 'int64', 'maximum': MAX_ID},
    fields.DateTime: {'maxLength': len('2021-06-20T15:04:27+00:00')},
}


class Text(fields.String):
    """A string without NUL, which PostgreSQL cannot keep, or one that matches a pattern from end to end.

    pattern: a regular expression in the syntax that Python and ECMAScript share; it is documented, too.
    """

    default_error_messages = {'nul': 'NUL characters are not allowed.', 'pattern': 'Does not match {pattern}'}

    def __init__(self, *, pattern: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.pattern = pattern

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if '\0' in text:
            raise self.make_error('nul')
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise self.make_error('pattern', pattern=self.pattern)
        return text


class Converter(ModelConverter):
    """Which field `auto_field` makes of which column."""

    SQLA_TYPE_MAPPING = {**ModelConverter.SQLA_TYPE_MAPPING, String: Text, UTCDateTime: fields.DateTime}


class Schema(SQLAlchemySchema):
    """The base of all schemas: members that are not declared are ignored on the way in.

    On the way out, `compiled` dumps.
    """

    class Meta:
        model_converter = Converter
        unknown = EXCLUDE

    @cached_property
    def compiled(self) -> CompiledDump:
        return CompiledDump(self)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The members that a record needs to be dumped whole."""
        names: dict[str, None] = {}
        for name, field in self.dump_fields.items():
            names.update(
                dict.fromkeys(field.columns if isinstance(field, ComputedField) else [field.attribute or name])
            )
        return tuple(names)

    def load(self, *args: Any, **kwargs: Any) -> Any:
        # marshmallow's own: marshmallow-sqlalchemy's reads a package's metadata from disk at each load, for instances
        # that we do not make.
        return marshmallow.Schema.load(self, *args, **kwargs)


class RequestSchema(Schema):
    """The base of the schemas for what clients send."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        if isinstance(field_obj, Text):
            pattern = f'^{field_obj.pattern}$' if field_obj.pattern else '^[^\\u0000]*$'
            field_obj.metadata = {'pattern': pattern, **field_obj.metadata}


class ResponseSchema(Schema):
    """The base of the schemas for answers: each declared member is always there, unless it says `optional`.

    One that says `volatile` changes with what others do, or with reading.
    """

    @cached_property
    def version_fields(self) -> tuple[str, ...]:
        """The members, by their names in answers, whose change is a change of the thing; none if all are such."""
        stable = {name: field for name, field in self.dump_fields.items() if not field.metadata.get('volatile')}
        if len(stable) == len(self.dump_fields):
            return ()
        return tuple(field.data_key or name for name, field in stable.items() if not isinstance(field, ComputedField))

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = not field_obj.metadata.get('optional')
        bounds = next(
            (metadata for field_type, metadata in FIELD_BOUNDS.items() if isinstance(field_obj, field_type)), {}
        )
        field_obj.metadata = {**bounds, **field_obj.metadata}


def encode_json(rendered: Any) -> bytes:
    """JSON in the one form that all answers have."""
    return orjson.dumps(rendered)


def json_response(rendered: Any, mimetype: str = 'application/json') -> Response:
    return Response(encode_json(rendered), mimetype=mimetype)
