"""A backup that is made while posts are written, and restored."""

from chaos.findings import Findings, LeftOut
from chaos.stage import Stage


def restored(stage: Stage, findings: Findings) -> None:
    raise LeftOut('there is no `flask backup` yet')
