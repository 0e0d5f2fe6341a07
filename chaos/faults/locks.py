"""Fault: another client holds a lock that every write needs."""

import time

from sqlalchemy import text

from chaos.findings import Findings
from chaos.load import IN_PROGRESS, Load, watching
from chaos.stage import Stage

LOCKS = {'sqlite': 'BEGIN IMMEDIATE', 'postgresql': 'LOCK TABLE users IN ACCESS EXCLUSIVE MODE'}
# Seconds: concurrency limiter and lock timeout (docs/security.md), and 1 for the load of the machine.
RESPONSE_TIMEOUT = 3 + 5 + 1


def exhausted(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server, writers=16) as load:
        time.sleep(2)
        with watching(server, '/livez') as lives, stage.connection() as connection:
            connection.execute(text(LOCKS[connection.dialect.name]))
            time.sleep(12)
        free_at = time.monotonic()
        time.sleep(4)
    findings.expect_some(load, 503)
    findings.expect_only(load, 200, 201, 503, IN_PROGRESS)
    findings.expect_within(RESPONSE_TIMEOUT, load.outcomes, 'responses')
    findings.expect_within(0.5, lives, '`/livez`')
    findings.expect_written(load, free_at, 2)
    findings.expect_nothing_lost(load)
