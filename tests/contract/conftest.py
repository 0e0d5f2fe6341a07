"""Fixtures for what must hold of the whole."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.world import Operation, World, build_world, read_operations


@pytest.fixture(scope='session')
def operations(migrated_app: Flask) -> dict[str, Operation]:
    return read_operations(migrated_app)


@pytest.fixture
def make_world(app: Flask, password_hash: str) -> Callable[[], World]:
    return lambda: build_world(app, password_hash)
