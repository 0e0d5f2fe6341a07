"""Links as a typed field: URL templates that are taken apart once, when the schema is declared."""

import hashlib
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from flask_marshmallow import Schema
from marshmallow import EXCLUDE, fields, utils

from api.serialization.computed import ComputedField, Namespace

CONVERSIONS: dict[str, Callable[[Any], str]] = {
    '': str,
    'sha256': lambda text: hashlib.sha256(text.lower().encode()).hexdigest(),
}


# With ids of 19 digits, and no member that is a text of any length.
MAX_LINK_LENGTH = 200


EXAMPLES = {'email': 'susan@example.com'}


class UrlTemplate:
    """A URL with members of a row in braces: '/api/users/{id}'.

    A conversion follows a colon: '{email:sha256}'. With a question mark, '{reply_to_id?}', null gives no URL but null.
    """

    def __init__(self, template: str):
        self.template = template
        self.columns: tuple[str, ...] = ()
        self._conversions: tuple[Callable[[Any], str], ...] = ()
        self._format = ''
        self.nullable = '?}' in template
        for literal, column, conversion, _ in Formatter().parse(template):
            self._format += literal.replace('%', '%%')
            if column is not None:
                self._format += '%s'
                self.columns += (column.rstrip('?'),)
                self._conversions += (CONVERSIONS[conversion or ''],)

    def expand(self, values: tuple[Any, ...]) -> str | None:
        """The URL for the values of `columns`, in their order."""
        if self.nullable and None in values:
            return None
        return self._format % tuple(convert(value) for convert, value in zip(self._conversions, values, strict=True))

    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        """The same as Python source, see `FromRecord.compiled`."""
        values = [f'record[{index[column]}]' for column in self.columns]
        parts = [
            value if convert is str else f'{namespace.bind(convert)}({value})'
            for value, convert in zip(values, self._conversions, strict=True)
        ]
        url = f'{namespace.bind(self._format)} % ({", ".join(parts)},)'
        return f'(None if None in ({", ".join(values)},) else {url})' if self.nullable else url


class BaseLinksSchema(Schema):
    """The base of the shapes of links, to which more links may come."""

    class Meta:
        unknown = EXCLUDE


class Links(ComputedField, fields.Nested):
    """An object of links, each a template over the object that is dumped.

    `Links('UserLinks', self='/api/users/{id}')`: the first argument names the shape in the documentation.
    """

    def __init__(self, name: str, /, **templates: str):
        self.templates = {relation: UrlTemplate(template) for relation, template in templates.items()}
        link_fields = {relation: link_field(template) for relation, template in self.templates.items()}
        super().__init__(BaseLinksSchema.from_dict(link_fields, name=f'{name}Schema'), data_key='_links')

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(column for template in self.templates.values() for column in template.columns))

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> dict[str, str | None]:  # type: ignore[override]
        return {
            relation: template.expand(tuple(utils.get_value(obj, column) for column in template.columns))
            for relation, template in self.templates.items()
        }

    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        links = (f'{relation!r}: {template.compile(index, namespace)}' for relation, template in self.templates.items())
        return f'{{{", ".join(links)}}}'


def link_field(template: UrlTemplate) -> fields.Field[Any]:
    example = template.expand(tuple(EXAMPLES.get(column, 123) for column in template.columns))
    metadata = {'format': 'uri-reference', 'maxLength': MAX_LINK_LENGTH, 'examples': [example]}
    return fields.String(required=True, allow_none=template.nullable, metadata=metadata)
