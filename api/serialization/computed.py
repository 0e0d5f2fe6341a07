"""Fields that are computed from several columns of a record."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any


class Namespace(dict[str, Any]):
    """The global variables of a compiled function."""

    def bind(self, value: Any) -> str:
        """Add a value and return the name of its variable."""
        name = f'_{len(self)}'
        self[name] = value
        return name


class ComputedField:
    """A field computed from several columns of a record. No column needs to have its name."""

    _CHECK_ATTRIBUTE = False

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Return the columns that the field needs."""

    @abstractmethod
    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        """Return the value as a Python expression over `record`; `index` maps columns to their places in it."""
