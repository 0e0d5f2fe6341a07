"""The disk is full."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.findings import Findings
from chaos.load import Load
from chaos.stage import Stage, log_in
from support.processes import children_of
from support.servers import Server

MEGABYTES = 16


def full(stage: Stage, findings: Findings) -> None:
    with small_disk(stage.data) as is_small:
        stage.migrate()
        with stage.serving() as server, Load(stage, server) as load:
            seldom_seen = log_in(server)
            stage.execute("UPDATE users SET last_seen = '2000-01-01'")
            time.sleep(2)
            with filled(stage.data) if is_small else files_limited(stage.data, server):
                time.sleep(5)
                # That they were seen cannot be noted, and is no reason to fail.
                seen = server.ask('GET', '/api/me', Authorization=f'Bearer {seldom_seen}').status
                full_until = time.monotonic()
            time.sleep(4)
        # Posts are written as long as the log has room.
        findings.expect_some(load, 503)
        findings.expect_only(load, 200, 201, 503)
        reads = [outcome.status for outcome in load.outcomes if outcome.method == 'GET'] + [seen]
        findings.expect({200} == set(reads), f'{reads.count(200):,} of {len(reads):,} reads 200')
        findings.expect_written(load, full_until, 2)
        findings.expect_nothing_lost(load)
        findings.note('a small disk' if is_small else 'files that may not grow')


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own in the folder, where we may have one; tells whether."""
    options = ['-t', 'tmpfs', '-o', f'size={MEGABYTES}m', 'tmpfs', str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(['mount', *options], stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(['umount', '--lazy', str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """With a file that takes all that is left."""
    ballast = folder / 'ballast'
    with ballast.open('wb', buffering=0) as file, suppress(OSError):
        while True:
            file.write(b'\0' * 4096)
    yield
    ballast.unlink()


@contextmanager
def files_limited(folder: Path, server: Server) -> Iterator[None]:
    """With processes that may write no file longer than the longest is."""
    size = max(file.stat().st_size for file in folder.iterdir())
    for limit in (size, resource.RLIM_INFINITY):
        for pid in children_of(server.process):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        if limit == size:
            yield
