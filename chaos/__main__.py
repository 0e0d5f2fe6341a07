"""Run the faults on their databases: all with `make chaos`, or some with `python -m chaos NAME...`.

Exit with 1 if a fault did not have the expected effect. A run of all faults is written to docs/chaos.md.
"""

import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

from chaos.faults import FAULTS
from chaos.findings import Fault, Findings, LeftOut, Row, table
from chaos.stage import set_up
from support.postgresql_cluster import Cluster
from support.servers import ROOT

DOCS = ROOT / 'docs' / 'chaos.md'
BEGIN, END = '<!-- make chaos: begin -->', '<!-- make chaos: end -->'
PASSED, FAILED, LEFT_OUT = 'passed', '**failed**', 'left out'


def main() -> None:
    chosen = [fault for fault in FAULTS if len(sys.argv) == 1 or fault.key in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix='chaos_') as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        cluster = start_cluster(folder / 'cluster')
        try:
            rows = [run(fault, database, folder, cluster) for fault in chosen for database in fault.databases]
        finally:
            if cluster:
                cluster.kill()
    print('\n' + table(rows))
    if len(chosen) == len(FAULTS):
        publish(rows)
    sys.exit(any(row.verdict == FAILED for row in rows))


def start_cluster(folder: Path) -> Cluster | None:
    folder.mkdir()
    try:
        return Cluster(folder)
    except (OSError, KeyError):  # no binaries, or no user to run them
        return None


def run(fault: Fault, database: str, folder: Path, cluster: Cluster | None) -> Row:
    began = time.monotonic()
    findings = Findings()
    try:
        if database == 'postgresql' and not cluster:
            raise LeftOut('PostgreSQL is not installed')
        with set_up(folder / f'{fault.key}_{database}', cluster if database == 'postgresql' else None) as stage:
            fault.do(stage, findings)
        verdict = PASSED if findings.passed else FAILED
    except LeftOut as reason:
        findings.note(str(reason))
        verdict = LEFT_OUT
    except Exception as error:  # go on with the other faults
        traceback.print_exc()
        findings.note(f'{type(error).__name__}: {error}'.partition('\n')[0])
        verdict = FAILED
    row = Row(fault, database, '; '.join(findings.figures), verdict)
    print(f'{fault.key} on {database}, {time.monotonic() - began:.0f} s: {verdict}: {row.measured}', flush=True)
    return row


def publish(rows: list[Row]) -> None:
    section = f'{BEGIN}\n\n{time.strftime("%Y-%m-%d")}.\n\n{table(rows)}\n\n{END}'
    DOCS.write_text(re.sub(f'{BEGIN}.*{END}', lambda match: section, DOCS.read_text(), flags=re.DOTALL))


if __name__ == '__main__':
    main()
