"""Fault: full disk."""

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
                # last_seen cannot be updated, which must not fail the request.
                seen = server.ask('GET', '/api/me', Authorization=f'Bearer {seldom_seen}').status
                full_until = time.monotonic()
            time.sleep(4)
        # Some posts succeed as long as the WAL has free pages.
        findings.expect_some(load, 503)
        findings.expect_only(load, 200, 201, 503)
        reads = [outcome.status for outcome in load.outcomes if outcome.method == 'GET'] + [seen]
        findings.expect({200} == set(reads), f'{reads.count(200):,} of {len(reads):,} reads 200')
        findings.expect_written(load, full_until, 2)
        findings.expect_nothing_lost(load)
        findings.note('a small disk' if is_small else 'a limit on the file size')


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system in the folder, if we have the permission, and yield whether it is mounted."""
    options = ['-t', 'tmpfs', '-o', f'size={MEGABYTES}m', 'tmpfs', str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(['mount', *options], stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(['umount', '--lazy', str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill the file system during the block."""
    ballast = folder / 'ballast'
    with ballast.open('wb', buffering=0) as file, suppress(OSError):
        while True:
            file.write(b'\0' * 4096)
    yield
    ballast.unlink()


@contextmanager
def files_limited(folder: Path, server: Server) -> Iterator[None]:
    """Limit the file size of the server processes to that of the largest file during the block."""
    size = max(file.stat().st_size for file in folder.iterdir())
    for limit in (size, resource.RLIM_INFINITY):
        for pid in children_of(server.process):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        if limit == size:
            yield
