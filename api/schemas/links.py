"""Links as a typed field: URL templates that are taken apart once, when the schema is declared."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from flask_marshmallow import Schema
from marshmallow import EXCLUDE, fields, utils

CONVERSIONS: dict[str, Callable[[Any], str]] = {
    '': str,
    'sha256': lambda text: hashlib.sha256(text.lower().encode()).hexdigest(),
}

# With ids of 19 digits, and no member that is a text of any length.
MAX_LENGTH = 200
EXAMPLES = {'email': 'susan@example.com'}


class Names(dict[str, Any]):
    """What the source of a function may name."""

    def of(self, value: Any) -> str:
        name = f'_{len(self)}'
        self[name] = value
        return name


class UrlTemplate:
    """A URL with members of a row in braces: '/api/users/{id}'.

    A conversion follows a colon: '{email:sha256}'. With a question mark, '{reply_to_id?}', null gives no URL but null.
    """

    def __init__(self, template: str):
        self.template = template
        self.members: tuple[str, ...] = ()
        self._conversions: tuple[Callable[[Any], str], ...] = ()
        self._format = ''
        self.nullable = '?}' in template
        for literal, member, conversion, _ in Formatter().parse(template):
            self._format += literal.replace('%', '%%')
            if member is not None:
                self._format += '%s'
                self.members += (member.rstrip('?'),)
                self._conversions += (CONVERSIONS[conversion or ''],)

    def expand(self, values: tuple[Any, ...]) -> str | None:
        """The URL for the values of `members`, in their order."""
        if self.nullable and None in values:
            return None
        return self._format % tuple(convert(value) for convert, value in zip(self._conversions, values, strict=True))

    def compiled(self, index: Mapping[str, int], names: Names) -> str:
        """The same as Python source, see `FromRecord.compiled`."""
        places = [f'record[{index[member]}]' for member in self.members]
        texts = [
            place if convert is str else f'{names.of(convert)}({place})'
            for place, convert in zip(places, self._conversions, strict=True)
        ]
        url = f'{names.of(self._format)} % ({", ".join(texts)},)'
        return f'(None if None in ({", ".join(places)},) else {url})' if self.nullable else url


class LinksShape(Schema):
    """The base of the shapes of links, to which more links may come."""

    class Meta:
        unknown = EXCLUDE


class FromRecord:
    """A field that is made of several members of a record, wherever its own name is not one of them."""

    _CHECK_ATTRIBUTE = False

    @property
    @abstractmethod
    def members(self) -> list[str]:
        """The members that it needs."""

    @abstractmethod
    def compiled(self, index: Mapping[str, int], names: Names) -> str:
        """The value as Python source, where the members of `record` stand at the places that `index` tells."""


class Links(FromRecord, fields.Nested):
    """An object of links, each a template over the object that is dumped.

    `Links('UserLinks', self='/api/users/{id}')`: the first argument names the shape in the documentation.
    """

    def __init__(self, name: str, /, **templates: str):
        self.templates = {relation: UrlTemplate(template) for relation, template in templates.items()}
        shape = {relation: link_field(template) for relation, template in self.templates.items()}
        super().__init__(LinksShape.from_dict(shape, name=f'{name}Schema'), data_key='_links')

    @property
    def members(self) -> list[str]:
        return list(dict.fromkeys(member for template in self.templates.values() for member in template.members))

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> dict[str, str | None]:  # type: ignore[override]
        return {
            relation: template.expand(tuple(utils.get_value(obj, member) for member in template.members))
            for relation, template in self.templates.items()
        }

    def compiled(self, index: Mapping[str, int], names: Names) -> str:
        links = (f'{relation!r}: {template.compiled(index, names)}' for relation, template in self.templates.items())
        return f'{{{", ".join(links)}}}'


def link_field(template: UrlTemplate) -> fields.Field[Any]:
    example = template.expand(tuple(EXAMPLES.get(member, 123) for member in template.members))
    metadata = {'format': 'uri-reference', 'maxLength': MAX_LENGTH, 'examples': [example]}
    return fields.String(required=True, allow_none=template.nullable, metadata=metadata)
