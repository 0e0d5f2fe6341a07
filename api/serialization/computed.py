"""Fields that are computed from several columns of a record."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any


class Namespace(dict[str, Any]):
    """What the source of a function may name."""

    def bind(self, value: Any) -> str:
        name = f'_{len(self)}'
        self[name] = value
        return name


class ComputedField:
    """A field that is made of several members of a record, wherever its own name is not one of them."""

    _CHECK_ATTRIBUTE = False

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The members that it needs."""

    @abstractmethod
    def compile(self, index: Mapping[str, int], namespace: Namespace) -> str:
        """The value as Python source, where the members of `record` stand at the places that `index` tells."""
