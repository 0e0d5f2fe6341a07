"""Expected and measured effects of faults, and their table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chaos.load import Load, Outcome
from chaos.stage import Stage
from support.tables import DATABASES, markdown


class LeftOut(Exception):
    """The fault cannot be tried here, for example because it needs something that is not installed."""


@dataclass
class Findings:
    """The measured figures of a fault, and whether all of them are as expected."""

    figures: list[str] = field(default_factory=list)
    passed: bool = True

    def expect(self, holds: bool, figure: str) -> None:
        """Add a figure, which is bold in the table and fails the fault if it does not hold."""
        self.figures.append(figure if holds else f'**{figure}**')
        self.passed = self.passed and holds

    def note(self, figure: str) -> None:
        self.figures.append(figure)

    def expect_only(self, load: Load, *statuses: int) -> None:
        """Expect that every request ended with one of the statuses."""
        others = load.others(*statuses)
        which = ' (' + ', '.join(f'{what}: {times}' for what, times in others.items()) + ')' if others else ''
        self.expect(not others, f'{others.total()} of {len(load.outcomes):,} requests failed{which}')

    def expect_some(self, load: Load, status: int) -> None:
        times = load.count(status)
        self.expect(times > 0, f'{times:,} times {status}')

    def expect_within(self, seconds: float, outcomes: list[Outcome], what: str) -> None:
        slowest = max((outcome.seconds for outcome in outcomes), default=math.inf)
        self.expect(slowest <= seconds, f'{what} within {slowest:.2f} s')

    def expect_written(self, load: Load, since: float, within: float) -> None:
        """Expect that a post sent after `since` is acknowledged within that many seconds of it."""
        seconds = load.seconds_until_written(since)
        self.expect(seconds <= within, f'the next post after {seconds:.2f} s')

    def expect_nothing_lost(self, load: Load) -> None:
        lost = load.lost()
        self.expect(lost == 0, f'{lost} of {len(load.acknowledged):,} posts lost or duplicated')


class Fault(NamedTuple):
    name: str
    do: Callable[[Stage, Findings], None]
    databases: Sequence[str]
    expected: str

    @property
    def key(self) -> str:
        """Return its name on the command line."""
        return self.do.__name__


class Row(NamedTuple):
    fault: Fault
    database: str
    measured: str
    verdict: str


def table(rows: list[Row]) -> str:
    heads = ['Fault', 'Database', 'Expected', 'Measured', 'Verdict']
    cells = [[row.fault.name, DATABASES[row.database], row.fault.expected, row.measured, row.verdict] for row in rows]
    return markdown(heads, cells)
