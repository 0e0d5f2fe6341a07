"""The lines that each test reaches, measured once for each test file and cached until its sources change."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData

from tests.mutants.mutations import Mutation
from tests.mutants.runs import ROOT, Run, Test

SHARED = 'api/**/*.* migrations/**/*.py config.py main.py pyproject.toml tests/*.py tests/*/conftest.py'.split()
SECONDS_FIRST = 5
SECONDS_FOR_PROCESSES = 1800


class Round(NamedTuple):
    """Tests that run together, with a limit in seconds."""

    files: list[str]
    tests: list[str]
    limit: float


class Reached:
    """The lines that each test reaches.

    folder: where the measurements are cached. kills: how many mutants each test has killed; these tests run first.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.tests: dict[str, Test] = {}
        self.data: list[CoverageData] = []
        self.kills: Counter[str] = Counter()
        self.lines_of = cache(self.read_lines)

    def measure(
        self, files: list[str], pool: Executor, run: Callable[[str, str], Run], say: Callable[[str], None]
    ) -> None:
        """Measure the test files that have changed. run: runs one of them, and writes its coverage data to a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shared = digest_of((path for pattern in SHARED for path in sorted(ROOT.glob(pattern))), '')
        everything = [str(path.relative_to(ROOT)) for path in ROOT.glob('tests/**/test_*.py')]
        kept = {file: self.folder / digest_of([ROOT / file], shared + file) for file in everything}
        for old in self.folder.iterdir():
            if old.with_suffix('') not in kept.values():
                old.unlink()
        missing = [file for file in files if not all(test.passed for test in read_tests(kept[file]))]
        say(f'{len(files) - len(missing)} test files are measured already, {len(missing)} are not')
        targets = [str(kept[file].with_suffix('.coverage')) for file in missing]
        for file, made in zip(missing, pool.map(run, missing, targets), strict=True):
            say(f'{file}: {made.ran} tests {made.failed}')
            kept[file].with_suffix('.json').write_text(json.dumps(made.tests))
        for stem in (kept[file] for file in files):
            self.tests |= {test.id: test for test in read_tests(stem)}
            data = CoverageData(basename=str(stem.with_suffix('.coverage')))
            data.read()
            self.data.append(data)
        for test in self.tests.values():
            if not test.passed:
                say(f'left out, because it fails without any change: {test.id}')

    def read_lines(self, path: str) -> dict[int, set[str]]:
        """Return the tests that reach each line of a file; an empty id stands for fixtures and imports."""
        found: dict[int, set[str]] = {}
        ids = {id: id for id in self.tests} | {'': ''}
        for data in self.data:
            for line, contexts in data.contexts_by_lineno(path).items():
                found.setdefault(line, set()).update(ids[context] for context in contexts)
        return found

    def rounds(self, mutation: Mutation, databases: list[str]) -> list[Round]:
        """Return what to run, one after the other: tests that reach the place, the fastest ones first.

        Lines outside of functions, and those that only fixtures reach, can matter to every test: there the tests come
        first that reach anything in the file.
        """
        lines = self.lines_of(mutation.path)
        at = set().union(*(lines.get(line, ()) for line in mutation.lines))
        nearest = at - {''} if mutation.in_function else set().union(*lines.values()) - {''}
        everything = not mutation.in_function or '' in at
        rounds = []
        usable = [test for test in self.tests.values() if test.passed]
        for group in ({'', databases[0]}, *({name} for name in databases[1:])):
            tests = [test for test in usable if test.database in group and not test.process]
            tests = [test for test in tests if everything or test.id in nearest]
            tests.sort(key=lambda test: (test.id not in nearest, -self.kills[test.id], test.seconds))
            taken = 0
            while taken < len(tests) and sum(test.seconds for test in tests[:taken]) < SECONDS_FIRST:
                taken += 1
            rounds += [round_of(tests[:taken]), round_of(tests[taken:])]
        processes = [test for test in usable if test.process and test.database in {'', *databases}]
        rounds.append(round_of(processes)._replace(limit=SECONDS_FOR_PROCESSES))
        return [made for made in rounds if made.tests]


def read_tests(stem: Path) -> list[Test]:
    """Return the tests of a file; one without a name that has failed if it was not measured."""
    try:
        return [Test(*test) for test in json.loads(stem.with_suffix('.json').read_text())]
    except FileNotFoundError:
        return [Test('', 0, '', process=False, passed=False)]


def round_of(tests: list[Test]) -> Round:
    limit = 30 + 5 * sum(test.seconds for test in tests)
    return Round(sorted({test.file for test in tests}), [test.id for test in tests], limit)


def digest_of(paths: Iterable[Path], salt: str) -> str:
    digest = sha256(salt.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
