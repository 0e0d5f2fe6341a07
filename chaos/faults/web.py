"""Faults of the web processes."""

import os
import signal
import time

from chaos.findings import Findings
from chaos.load import CLOSED, IN_PROGRESS, NO_RESPONSE, Load
from chaos.stage import Stage
from support.processes import children_of

RELOAD_TIMEOUT = 30  # two processes, each for the interval in api/server/web.py


def kill(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(2)
        killed = children_of(server.process)[0]
        os.kill(killed, signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(6)
        alive = children_of(server.process)
    findings.expect_nothing_lost(load)
    findings.note(f'{load.count(NO_RESPONSE, CLOSED)} connections broken')
    findings.expect_only(load, 200, 201, IN_PROGRESS, NO_RESPONSE, CLOSED)
    findings.expect_written(load, killed_at, 1)
    findings.expect(len(alive) == 2 and killed not in alive, f'{len(alive)} processes afterwards')


def reload(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(2)
        before = children_of(server.process)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(RELOAD_TIMEOUT)
        after = children_of(server.process)
    findings.expect_only(load, 200, 201, CLOSED)
    findings.note(f'{load.count(CLOSED)} connections closed on reuse')
    findings.expect_nothing_lost(load)
    findings.expect(len(after) == 2 and not set(before) & set(after), f'{len(after)} new processes')


def stop(stage: Stage, findings: Findings) -> None:
    stage.migrate()
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(3)
        server.process.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        code = server.process.wait(40)
        seconds = time.monotonic() - stopped_at
    unheard = load.stage.posts().keys() - load.acknowledged
    findings.expect(code == 0, f'exit code {code} after {seconds:.1f} s')
    refused = load.others(200, 201, CLOSED)
    findings.expect(
        set(refused) <= {'ConnectionRefusedError'}, ', '.join(f'{times} {what}' for what, times in refused.items())
    )
    findings.note(f'{load.count(CLOSED)} connections closed on reuse')
    findings.expect(not unheard, f'{len(unheard)} posts written, but not acknowledged')
    findings.expect_nothing_lost(load)
