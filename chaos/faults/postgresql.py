"""Faults of PostgreSQL."""

import time

from chaos.findings import Findings
from chaos.load import IN_PROGRESS, Load, watching
from chaos.stage import Stage

# Seconds: concurrency limiter, statement and connection (docs/security.md), and 1 for the load of the machine.
RESPONSE_TIMEOUT = 3 + 11 + 3 + 1


def killed(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(2)
        stage.postgresql.kill()
        time.sleep(4)
        stage.postgresql.start()
        back_at = time.monotonic()
        time.sleep(4)
    untold = [outcome for outcome in load.outcomes if outcome.status == 503 and not outcome.retry_after]
    findings.expect_some(load, 503)
    findings.expect(not untold, f'{len(untold)} without Retry-After')
    findings.expect_only(load, 200, 201, 503, IN_PROGRESS)
    findings.expect_written(load, back_at, 2)
    findings.expect_nothing_lost(load)


def frozen(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(2)
        with watching(server, '/livez') as lives, watching(server, '/readyz') as readies, stage.postgresql.frozen():
            time.sleep(20)
        back_at = time.monotonic()
        time.sleep(4)
    findings.expect_some(load, 503)
    findings.expect_only(load, 200, 201, 503, IN_PROGRESS)
    findings.expect_within(RESPONSE_TIMEOUT, load.outcomes, 'responses')
    findings.expect_within(RESPONSE_TIMEOUT, readies, '`/readyz`')
    findings.expect_within(0.5, lives, '`/livez`')
    findings.expect({200} == {outcome.status for outcome in lives}, f'{len(lives)} times alive')
    findings.expect_written(load, back_at, 2)
    findings.expect_nothing_lost(load)
