"""Mark the tests that start processes, and prevent all others from starting any.

A fixture that starts a server, a worker, a browser or another program requests the fixture `starts_processes`. A test
that uses such a fixture gets the marker `process`, with which `make test` leaves it out. A test that starts a program
itself carries the marker itself; without it the start fails.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

MARKER = 'process'


@pytest.fixture(scope='session')
def starts_processes() -> None:
    """Mark the fixture that requests this one as starting a process."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if 'starts_processes' in getattr(item, 'fixturenames', ()):
            item.add_marker(MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fail a test that starts a process without the marker, directly or in a fixture."""
    if item.get_closest_marker(MARKER):
        return (yield)

    def fail_start(process: subprocess.Popen[Any], args: Any, *others: Any, **options: Any) -> None:
        pytest.fail(f'a test that starts a process ({args}) needs @pytest.mark.{MARKER}')

    start = subprocess.Popen.__init__
    subprocess.Popen.__init__ = fail_start  # type: ignore[assignment, method-assign]
    try:
        return (yield)
    finally:
        subprocess.Popen.__init__ = start  # type: ignore[method-assign]


LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    left_out = items[0].config.stash.setdefault(LEFT_OUT, Counter())
    left_out.update(item.location[0] for item in items if item.get_closest_marker(MARKER))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, 'workeroutput'):
        session.config.workeroutput[MARKER] = dict(session.config.stash.get(LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Store the tests that a worker of pytest-xdist deselected. All workers collect the same tests."""
    node.config.stash[LEFT_OUT] = Counter(getattr(node, 'workeroutput', {}).get(MARKER, {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    left_out = config.stash.get(LEFT_OUT, Counter())
    if left_out and config.option.markexpr == f'not {MARKER}':
        terminalreporter.section(f'{left_out.total()} tests that start processes were left out')
        for module, count in left_out.most_common():
            terminalreporter.write_line(f'{count:5} {module}')
        terminalreporter.write_line('`make test-all` runs them too.')
