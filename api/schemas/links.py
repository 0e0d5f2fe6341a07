"""Links as a typed field: URL templates are parsed once, when the schema is declared."""

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


# Enough for ids of 19 digits; no template contains text of arbitrary length.
MAX_LINK_LENGTH = 200


EXAMPLES = {'email': 'susan@example.com'}


class UrlTemplate:
    """A URL with columns of a row in braces: '/api/users/{id}'.

    A colon adds a conversion: '{email:sha256}'. A question mark, '{reply_to_id?}', gives null if the value is null.
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
        """Return the URL for the values of `columns`, in the same order."""
        if self.nullable and None in values:
            return None
        return self._format % tuple(convert(value) for convert, value in zip(self._conversions, values, strict=True))

    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        """Return the URL as a Python expression, see `ComputedField.compile`."""
        values = [f'record[{index[column]}]' for column in self.columns]
        parts = [
            value if convert is str else f'{namespace.bind(convert)}({value})'
            for value, convert in zip(values, self._conversions, strict=True)
        ]
        url = f'{namespace.bind(self._format)} % ({", ".join(parts)},)'
        return f'(None if None in ({", ".join(values)},) else {url})' if self.nullable else url


class BaseLinksSchema(Schema):
    """The base of all schemas of links. Links may be added later."""

    class Meta:
        unknown = EXCLUDE


class Links(ComputedField, fields.Nested):
    """An object of links, each a URL template filled from the object that is dumped.

    `Links('UserLinks', self='/api/users/{id}')`: the first argument names the schema in the OpenAPI document.
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
