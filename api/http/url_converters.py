"""The URL converter for ids."""

from werkzeug.routing import IntegerConverter

MAX_ID_DIGITS = 18


class IdConverter(IntegerConverter):
    """Converter for ids of any number of ASCII digits.

    Ids with more than 18 digits, which may not fit into 64 bits, become 0, which is never assigned. Their
    URLs still match a route, so that 401 and 403 take precedence over 404.
    """

    regex = '[0-9]+'

    def to_python(self, value: str) -> int:
        digits = value.lstrip('0')
        return int(digits) if digits and len(digits) <= MAX_ID_DIGITS else 0
