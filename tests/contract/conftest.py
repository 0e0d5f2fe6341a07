"""Fixtures for what must hold of the whole."""

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import pytest
from flask import Flask

from tests.databases import restore, rows_of
from tests.world import Operation, World, build_world, read_operations


@pytest.fixture(scope='session')
def operations(migrated_app: Flask) -> dict[str, Operation]:
    return read_operations(migrated_app)


SECONDS_TO_KEEP = 300  # links in a world work for ten minutes


class Template(NamedTuple):
    """A world with its rows, and when it was built."""

    world: World
    rows: dict[str, list[tuple[Any, ...]]]
    built_at: float


@pytest.fixture(scope='session')
def templates(migrated_app: Flask) -> dict[str, Template]:
    """The template of `make_world`, once there is one."""
    return {}


@pytest.fixture
def make_world(app: Flask, password_hash: str, templates: dict[str, Template]) -> Callable[[], World]:
    """Build a world. In an empty database it is a copy of a template, which costs less."""

    def make() -> World:
        if not is_empty(app):
            return build_world(app, password_hash)
        template = templates.get('world')
        if template and monotonic() < template.built_at + SECONDS_TO_KEEP:
            restore(app, template.rows)
            return template.world
        built_at, world = monotonic(), build_world(app, password_hash)
        templates['world'] = Template(world, rows_of(app), built_at)
        return world

    return make


def is_empty(app: Flask) -> bool:
    return not any(rows for table, rows in rows_of(app).items() if table != 'totals')
