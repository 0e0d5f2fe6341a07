"""Fault: a backup during writes, which is restored."""

import shutil
import time

from chaos.findings import Findings, LeftOut
from chaos.load import Load
from chaos.stage import Stage, set_up


def restored(stage: Stage, findings: Findings) -> None:
    if stage.cluster and not shutil.which('pg_dump'):
        raise LeftOut('pg_dump is not installed')
    stage.migrate()
    file = stage.folder / 'backup'
    with stage.serving() as server, Load(stage, server) as load:
        time.sleep(2)
        before, begun = list(load.acknowledged), time.monotonic()
        ended = stage.flask('backup', str(file)).wait()
        seconds = time.monotonic() - begun
        time.sleep(1)
    findings.expect(ended == 0, f'exit code {ended} after {seconds:.1f} s')
    findings.expect_only(load, 200, 201)
    findings.expect_nothing_lost(load)
    with set_up(stage.folder.with_name(f'{stage.folder.name}_copy'), stage.cluster) as copy:
        findings.expect(copy.flask('restore', str(file)).wait() == 0, 'restored')
        posts = copy.posts()
        missing = sum(posts[text] != 1 for text in before)
        findings.expect(missing == 0, f'{missing} of {len(before):,} earlier posts missing in the backup')
        findings.expect(copy.flask('db', 'check').wait() == 0, 'structure correct')
        copy.flask('counters', 'repair').wait()
        findings.expect('all counters are correct' in copy.log.read_text(), 'counters correct')
