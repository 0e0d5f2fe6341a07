"""Test runs in forks of this process, each in a copy of the source tree."""

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copy2
from typing import NamedTuple

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[2]
OURS = ('api', 'tests', 'config', 'main')
# Imported once, before the forks, so that each fork starts a second faster.
PRELOADED = (
    'aiosmtpd.controller alembic.command apifairy argon2 cryptography.fernet environs flask flask_cors flask_httpauth '
    'flask_marshmallow flask_sqlalchemy flask_swagger_ui httplint hypothesis _hypothesis_pytestplugin jsonschema '
    'jsonschema_rs marshmallow_sqlalchemy openapi_spec_validator orjson psycopg pythonjsonlogger redis requests '
    'schemathesis.pytest.plugin sqlalchemy.dialects.postgresql sqlalchemy.dialects.sqlite webargs.flaskparser zxcvbn'
).split()
SECONDS_TO_STOP = 10


class Test(NamedTuple):
    """A test.

    seconds: its duration. database: sqlite, postgresql, or empty if neither is a parameter of it. process: whether it
    starts processes; such tests are not measured.
    """

    id: str
    seconds: float
    database: str
    process: bool
    passed: bool

    @property
    def file(self) -> str:
        return self.id.partition('::')[0]


class Run(NamedTuple):
    """The result of a test run.

    failed: the first test that failed, or another error; empty if all tests passed.
    """

    failed: str
    ran: int
    tests: list[Test]


def preload() -> None:
    """Import the libraries, and exclude their objects from the garbage collection of the forks."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def copy_tree(target: Path) -> None:
    """Copy what Git tracks or would track, so that the working tree stays unchanged."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in listing.stdout.decode().split('\0'):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            copy2(ROOT / name, target / name)


@contextmanager
def mutated(file: Path, source: bytes) -> Iterator[None]:
    """Replace the source of a file during the block. The original keeps its mtime, so its bytecode stays valid."""
    original = file.with_suffix('.original')
    file.rename(original)
    try:
        file.write_bytes(source)
        os.utime(file, (0, 0))
        yield
    finally:
        original.replace(file)


class Plugin:
    """Pytest plugin that selects the tests, runs them in the given order, and records their results.

    wanted: their ids, or None for all that start no processes.
    """

    def __init__(self, wanted: list[str] | None, coverage: Coverage | None):
        self.order = None if wanted is None else {id: place for place, id in enumerate(wanted)}
        self.coverage = coverage
        self.tests: dict[str, Test] = {}
        self.failed: list[str] = []
        self.ran: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.order is not None:
            items[:] = [item for item in items if item.nodeid in self.order]
            items.sort(key=lambda item: self.order[item.nodeid])
            return
        for item in items:
            parameters = item.callspec.params if hasattr(item, 'callspec') else {}
            process = item.get_closest_marker('process') is not None
            self.tests[item.nodeid] = Test(item.nodeid, 0, parameters.get('database_url', ''), process, True)
        items[:] = [item for item in items if not self.tests[item.nodeid].process]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        if self.coverage:
            self.coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            if self.coverage:
                self.coverage.switch_context('')

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.add(report.nodeid)
        if report.failed:
            self.failed.append(report.nodeid)
        if test := self.tests.get(report.nodeid):
            passed = test.passed and not report.failed
            self.tests[test.id] = test._replace(seconds=test.seconds + report.duration, passed=passed)

    def run(self, code: int) -> Run:
        failed = self.failed[0] if self.failed else '' if code in (0, 5) else f'pytest ended with {code!r}'
        return Run(failed, len(self.ran), list(self.tests.values()))


def run_tests(
    tree: Path,
    files: list[str],
    wanted: list[str] | None = None,
    *,
    reached: Path | None = None,
    limit: float,
) -> Run:
    """Run tests in a fork until the first failure. limit: in seconds; a run that takes longer has failed.

    reached: where to write which test reached which line; then a failure does not end the run.
    """
    result, log = tree.with_suffix('.result'), tree.with_suffix('.log')
    result.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job of a shell
            with log.open('w') as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            run = run_here(tree, files, wanted, reached)
            result.write_text(json.dumps(run))
        except BaseException:
            log.write_text(log.read_text() + traceback.format_exc())
        finally:
            os._exit(0)
    try:
        ended = wait(pid, limit)
    finally:
        stop(pid)
    if not ended:
        return Run(f'took longer than {limit:.0f} s', 0, [])
    try:
        failed, ran, tests = json.loads(result.read_text())
    except (OSError, ValueError):
        return Run('ended without a result', 0, [])
    return Run(failed, ran, [Test(*test) for test in tests])


def run_here(tree: Path, files: list[str], wanted: list[str] | None, reached: Path | None) -> Run:
    for name in [name for name in sys.modules if name.partition('.')[0] in OURS]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(entry for entry in sys.path if entry not in ('', str(ROOT)))]
    os.chdir(tree)
    sys.dont_write_bytecode = reached is None
    os.environ['PYTHONDONTWRITEBYTECODE'] = '1'
    coverage = None
    if reached:
        coverage = Coverage(data_file=str(reached), source=['api'], config_file=False)
        coverage.set_option('run:relative_files', True)
        coverage.start()
    plugin = Plugin(wanted, coverage)
    options = [f'--rootdir={tree}', *'-q -p no:cov -p no:xdist -p no:cacheprovider'.split()]
    options += ['-W', 'ignore::pytest.PytestAssertRewriteWarning']  # plugins that are imported already
    code = pytest.main([*options, *([] if reached else ['-x']), *files], plugins=[plugin])
    if coverage:
        coverage.stop()
        coverage.save()
    return plugin.run(code)


def wait(pid: int, limit: float) -> bool:
    """Return whether the process ended in time."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.02)
    return False


def stop(pid: int) -> None:
    """End the process group: by SIGINT, so that it can drop its database, then by SIGKILL."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError, ChildProcessError):
            os.killpg(pid, number)
            wait(pid, SECONDS_TO_STOP)
