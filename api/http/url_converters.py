"""Ids in URLs."""

from werkzeug.routing import IntegerConverter

MAX_ID_DIGITS = 18


class IdConverter(IntegerConverter):
    """Any number of ASCII digits. More than 64 bits hold is nobody's id, and 0 is nobody's id already.

    It still is a URL that exists: credentials and permission are asked before existence.
    """

    regex = '[0-9]+'

    def to_python(self, value: str) -> int:
        digits = value.lstrip('0')
        return int(digits) if digits and len(digits) <= MAX_ID_DIGITS else 0
