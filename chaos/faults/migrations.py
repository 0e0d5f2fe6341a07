"""Faults: concurrent migrations, and a migration under load."""

import subprocess
import time
from pathlib import Path

from alembic.script import ScriptDirectory

from chaos.findings import Findings, LeftOut
from chaos.load import Load
from chaos.stage import Stage, log_in
from support.servers import ROOT

SCRIPTS = ScriptDirectory(str(ROOT / 'migrations'))
PROCESS_COUNT = 4
OLD_USERS = 1000
LOCK_TIMEOUT = 5


def upgrades_of_nothing(stage: Stage, findings: Findings) -> None:
    upgrade_at_once(stage, findings)


def upgrades_of_old_rows(stage: Stage, findings: Findings) -> None:
    """Upgrade a database with rows from the first revision."""
    oldest = SCRIPTS.get_base()
    assert oldest
    stage.migrate(oldest)
    values = [f"('old{id}', 'old{id}@example.com', '', '2026-01-01', 1)" for id in range(OLD_USERS)]
    stage.execute(
        'INSERT INTO users (username, email, password_hash, created_at, post_count) VALUES ' + ', '.join(values),
        "INSERT INTO posts (author_id, text, created_at) SELECT id, username, '2026-01-01' FROM users",
        f"UPDATE totals SET value = {OLD_USERS} WHERE name = 'users'",  # its name at that revision
    )
    upgrade_at_once(stage, findings)
    (users,) = stage.rows('SELECT count(*) FROM users')[0]
    posts = len(stage.posts())
    findings.expect(users == posts == OLD_USERS, f'{users:,} users and {posts:,} posts as before')


def upgrade_at_once(stage: Stage, findings: Findings) -> None:
    begun = time.monotonic()
    codes = [process.wait() for process in [stage.flask('db', 'upgrade') for _ in range(PROCESS_COUNT)]]
    seconds = time.monotonic() - begun
    findings.expect(codes == [0] * PROCESS_COUNT, f'exit codes {", ".join(map(str, codes))} after {seconds:.1f} s')
    check(stage, findings)


def check(stage: Stage, findings: Findings) -> None:
    right = stage.flask('db', 'check').wait() == 0
    findings.expect(right, f'structure {"correct" if right else "wrong"}')


def newest(stage: Stage, findings: Findings) -> None:
    """Run the newest migration while the previous version serves, unless it requires a stop of that version.

    The previous version is the commit before the migration.
    """
    script = SCRIPTS.get_revision('head')
    if getattr(script.module, 'requires_stop', False):
        raise LeftOut('the newest migration requires a stop of the previous version')
    code = check_out_before(Path(script.path), stage.folder / 'code')
    stage.migrate(f'{script.down_revision}')
    with stage.serving(code) as server, Load(stage, server, keys=False) as load:
        time.sleep(2)
        begun = time.monotonic()
        ended = stage.flask('db', 'upgrade').wait()
        seconds = time.monotonic() - begun
        time.sleep(2)
    findings.expect(ended == 0, f'exit code {ended} after {seconds:.1f} s')
    findings.expect_only(load, 200, 201)
    findings.expect_within(LOCK_TIMEOUT, load.outcomes, 'responses')
    findings.expect_nothing_lost(load)
    check(stage, findings)
    with stage.serving() as server:
        log_in(server)
        findings.note('the current version starts')


def check_out_before(migration: Path, folder: Path) -> Path:
    """Extract the code of the commit before this migration was added, and return its folder."""
    added = git('log', '-1', '--diff-filter=A', '--format=%H', '--', str(migration)).decode().strip()
    archive = git('archive', f'{added}^')
    folder.mkdir()
    subprocess.run(['tar', '-x', '-C', str(folder)], input=archive, check=True)
    return folder


def git(*words: str) -> bytes:
    try:
        return subprocess.run(['git', *words], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LeftOut('there is no Git history') from error
