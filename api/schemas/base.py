"""The base classes of all schemas, and JSON encoding."""

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
# The server accepts URLs of up to 64 KiB. Links repeat the URL, and percent-encoding may triple each byte.
MAX_URL_LENGTH = 3 * 2**16 + 2**10

# Bounds of all response fields of these types: integers come from the database, times have a precision of seconds.
FIELD_BOUNDS: dict[type[fields.Field[Any]], dict[str, Any]] = {
    fields.Integer: {'format': 'int64', 'maximum': MAX_ID},
    fields.DateTime: {'maxLength': len('2021-06-20T15:04:27+00:00')},
}


class Text(fields.String):
    """A string without NUL, which PostgreSQL cannot store, that optionally matches a pattern as a whole.

    pattern: a regular expression in the syntax common to Python and ECMAScript, also used in the OpenAPI document.
    Give `error_messages={'pattern': ...}` with it, to say in words what is expected.
    """

    default_error_messages = {'nul': 'NUL characters are not allowed.', 'pattern': 'Must have the documented format.'}

    def __init__(self, *, pattern: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.pattern = pattern

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if '\0' in text:
            raise self.make_error('nul')
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise self.make_error('pattern')
        return text


class Converter(ModelConverter):
    """The mapping from column types to the field types that `auto_field` creates."""

    SQLA_TYPE_MAPPING = {**ModelConverter.SQLA_TYPE_MAPPING, String: Text, UTCDateTime: fields.DateTime}


class Schema(SQLAlchemySchema):
    """The base of all schemas.

    Loading ignores fields that are not declared. For dumping, `compiled` replaces `dump`.
    """

    class Meta:
        model_converter = Converter
        unknown = EXCLUDE

    @cached_property
    def compiled(self) -> CompiledDump:
        return CompiledDump(self)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that a row needs so that all fields can be dumped."""
        names: dict[str, None] = {}
        for name, field in self.dump_fields.items():
            names.update(
                dict.fromkeys(field.columns if isinstance(field, ComputedField) else [field.attribute or name])
            )
        return tuple(names)

    def load(self, *args: Any, **kwargs: Any) -> Any:
        # Not the method of marshmallow-sqlalchemy: it reads a package's metadata from disk at each load, to create
        # model instances, which are not used here.
        return marshmallow.Schema.load(self, *args, **kwargs)


class RequestSchema(Schema):
    """The base of all request schemas."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        if isinstance(field_obj, Text):
            pattern = f'^{field_obj.pattern}$' if field_obj.pattern else '^[^\\u0000]*$'
            field_obj.metadata = {'pattern': pattern, **field_obj.metadata}


class ResponseSchema(Schema):
    """The base of all response schemas. Field metadata:

    optional: the field may be absent; all others are always present. volatile: the value also changes by actions of
    other users, or by reading.
    """

    @cached_property
    def version_fields(self) -> tuple[str, ...]:
        """Return the names, as in responses, of the fields that define the resource version.

        Empty if no field is volatile.
        """
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
    """Return JSON in the form that all responses have."""
    return orjson.dumps(rendered)


def json_response(rendered: Any, mimetype: str = 'application/json') -> Response:
    return Response(encode_json(rendered), mimetype=mimetype)
