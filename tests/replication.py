"""A PostgreSQL server with a replica, both made for the tests in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.databases import skip_unless_required
from tests.servers import free_port

# PostgreSQL does not run as root.
OWNER = 'postgres' if os.geteuid() == 0 else None
OPTIONS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
fsync = off
wal_keep_size = 256MB
shared_buffers = 16MB
"""


class Postgres(NamedTuple):
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f'postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres'

    @property
    def pid(self) -> int:
        return int((self.folder / 'postmaster.pid').read_text().split()[0])

    def configure(self) -> None:
        with (self.folder / 'postgresql.conf').open('a') as file:
            file.write(OPTIONS.format(port=self.port))

    def start(self) -> None:
        run('pg_ctl', '-D', self.folder, '-l', self.folder / 'log', '-w', 'start')

    def kill(self) -> None:
        """Ends it as if the power had failed."""
        run('pg_ctl', '-D', self.folder, '-m', 'immediate', '-w', 'stop')

    def ask(self, statement: str) -> Any:
        """The first value of the first row, or None where there is none."""
        with psycopg.connect(self.url.replace('+psycopg', ''), autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]


def run(program: str, *arguments: object) -> None:
    command = [str(word) for word in (folder_of_programs() / program, *arguments)]
    subprocess.run(command, check=True, user=OWNER, cwd='/', stdout=subprocess.DEVNULL)


def folder_of_programs() -> Path:
    """Where the newest PostgreSQL of the machine is."""
    installed = sorted(Path('/usr/lib/postgresql').glob('*/bin/initdb'), key=lambda path: float(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which('initdb')
    if not found:
        skip_unless_required('postgresql', 'initdb is not installed')
    return Path(found or '').parent


@contextmanager
def replication() -> Iterator[tuple[Postgres, Postgres]]:
    """The primary and its replica, running."""
    folder_of_programs()
    with tempfile.TemporaryDirectory(prefix='microblog') as folder:
        if OWNER:
            shutil.chown(folder, pwd.getpwnam(OWNER).pw_uid)
        primary, replica = (Postgres(Path(folder, name), free_port()) for name in ('primary', 'replica'))
        run('initdb', '-D', primary.folder, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C')
        primary.configure()
        primary.start()
        try:
            host = ('-h', '127.0.0.1', '-p', primary.port, '-U', 'postgres')
            run('pg_basebackup', *host, '-D', replica.folder, '-R', '-c', 'fast', '-X', 'stream')
            replica.configure()
            replica.start()
            try:
                yield primary, replica
            finally:
                replica.kill()
        finally:
            primary.kill()
