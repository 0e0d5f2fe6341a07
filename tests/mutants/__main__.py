"""`python -m tests.mutants`: draw mutants by a seed, run the tests that reach them, and show the survivors."""

import argparse
import multiprocessing
import sys
import tempfile
import tomllib
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutations import Mutation, draw, mutations
from tests.mutants.reached import Reached, Round
from tests.mutants.runs import ROOT, Run, copy_tree, mutated, preload, run_tests

EQUIVALENTS = Path(__file__).with_name('equivalents.toml')
KEPT = ROOT / 'data/mutants'
SECONDS_FOR_A_FILE = 1800
tree: Path


class Outcome(NamedTuple):
    """The result of one mutant.

    killer: the test that failed, or another reason why the mutant is killed; empty for a survivor. ran: how many tests
    ran.
    """

    mutation: Mutation
    killer: str
    ran: int


def enter(trees: 'multiprocessing.SimpleQueue[Path]') -> None:
    """Initialize a worker process with its own copy of the source tree."""
    global tree
    tree = trees.get()


def measure(file: str, target: str) -> Run:
    run = run_tests(tree, [file], reached=Path(target), limit=SECONDS_FOR_A_FILE)
    if run.failed and not run.tests:
        raise RuntimeError(f'{file}: {run.failed}\n{tree.with_suffix(".log").read_text()}')
    return run


def try_mutant(mutation: Mutation, rounds: list[Round]) -> Outcome:
    file, ran = tree / mutation.path, 0
    with mutated(file, mutation.apply(file.read_bytes())):
        for tests in rounds:
            run = run_tests(tree, tests.files, tests.tests, limit=tests.limit)
            ran += run.ran
            if run.failed:
                return Outcome(mutation, run.failed, ran)
    return Outcome(mutation, '', ran)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m tests.mutants', description=__doc__)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--count', type=int, default=100)
    parser.add_argument('--only', action='append', default=[], help='all mutants of api/file.py or api/file.py:12')
    parser.add_argument('--tests', action='append', default=[], help='only the tests in tests/folder or tests/file.py')
    parser.add_argument('--database', choices=['sqlite', 'postgresql'], help='default: SQLite, then PostgreSQL')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--list', action='store_true', help='show the mutants, run nothing')
    parser.add_argument('--verbose', action='store_true', help='show what killed the others')
    return parser.parse_args()


def chosen(options: argparse.Namespace, sources: dict[str, bytes]) -> list[Mutation]:
    found = [mutation for path, source in sources.items() for mutation in mutations(path, source)]
    if options.only:
        return [found for found in found if {found.path, f'{found.path}:{found.line}'} & set(options.only)]
    return draw(found, options.count, options.seed)


def main() -> int:
    options = read_options()
    sources = {str(path.relative_to(ROOT)): path.read_bytes() for path in sorted(ROOT.glob('api/**/*.py'))}
    drawn = chosen(options, sources)
    if options.list:
        for mutation in drawn:
            show(mutation, sources, mutation.kind)
        return 0
    accepted = {
        (entry['file'], entry['was'], entry['becomes'])
        for entry in tomllib.loads(EQUIVALENTS.read_text()).get('equivalent', [])
    }
    pending = [mutation for mutation in drawn if (mutation.path, *diff(mutation, sources)) not in accepted]
    preload()
    with tempfile.TemporaryDirectory(prefix='mutants') as folder:
        outcomes = run(options, pending, Path(folder), sources)
    survivors = [outcome for outcome in outcomes if not outcome.killer]
    draw_of = 'chosen' if options.only else f'drawn with seed {options.seed}'
    print(
        f'{len(drawn)} mutants {draw_of}: {len(pending) - len(survivors)} killed, '
        f'{len(drawn) - len(pending)} accepted as equivalent, {len(survivors)} survived'
    )
    return 1 if survivors else 0


def test_files(wanted: list[str]) -> list[str]:
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('tests/**/test_*.py'))
    return [file for file in files if not wanted or file.startswith(tuple(wanted))]


def run(options: argparse.Namespace, pending: list[Mutation], folder: Path, sources: dict[str, bytes]) -> list[Outcome]:
    context = multiprocessing.get_context('fork')
    trees = context.SimpleQueue()
    for number in range(options.workers):
        copy_tree(folder / str(number))
        trees.put(folder / str(number))
    databases = [options.database] if options.database else ['sqlite', 'postgresql']
    reached, outcomes, waiting = Reached(KEPT), [], list(pending)
    with ProcessPoolExecutor(options.workers, context, enter, (trees,)) as pool:
        reached.measure(test_files(options.tests), pool, measure, say)
        running: set[Future[Outcome]] = set()
        while waiting or running:
            while waiting and len(running) < options.workers:
                mutation = waiting.pop(0)
                running.add(pool.submit(try_mutant, mutation, reached.rounds(mutation, databases)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for outcome in (future.result() for future in done):
                outcomes.append(outcome)
                reached.kills[outcome.killer] += 1
                if options.verbose or not outcome.killer:
                    ending = f'killed by {outcome.killer}' if outcome.killer else 'SURVIVED'
                    show(outcome.mutation, sources, f'{ending} ({outcome.ran} tests)')
                say(f'{len(outcomes)} of {len(pending)}')
    return outcomes


def diff(mutation: Mutation, sources: dict[str, bytes]) -> tuple[str, str]:
    return mutation.diff(sources[mutation.path])


def show(mutation: Mutation, sources: dict[str, bytes], text: str) -> None:
    was, becomes = diff(mutation, sources)
    print(f'{mutation.path}:{mutation.line}: {mutation.kind}: {text}')
    for sign, lines in (('-', was), ('+', becomes)):
        print(*(f'  {sign} {line}' for line in lines.splitlines()), sep='\n', flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
