"""A temporary PostgreSQL server that tests can kill and freeze."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from support.processes import children_of, send_signal
from support.servers import free_port

OWNER = 'postgres'  # used if we are root, because PostgreSQL refuses to run as root
OPTIONS = ('-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=')
START_TIMEOUT = 120


class Cluster:
    """A PostgreSQL server with its data in a folder.

    primary: the server to replicate. Raise FileNotFoundError if PostgreSQL is not installed.
    """

    def __init__(self, folder: Path, primary: 'Cluster | None' = None) -> None:
        self.binaries = find_binaries()
        self.folder = folder
        self.port = free_port()
        self.engine = create_engine(self.url('postgres'), isolation_level='AUTOCOMMIT', poolclass=NullPool)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        words = ['initdb', '--auth', 'trust', '--encoding', 'UTF8']
        if primary:
            words = ['pg_basebackup', '--host', '127.0.0.1', '--port', str(primary.port), '--write-recovery-conf']
            words += ['--checkpoint', 'fast']
        made = self.run(*words, '--username', OWNER, '--no-sync', '--pgdata', str(folder / 'data'))
        assert made.wait() == 0, self.log
        self.start()

    def run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        identity = ['setpriv', '--reuid', OWNER, '--regid', OWNER, '--clear-groups'] if os.geteuid() == 0 else []
        words = [*identity, str(self.binaries / program), *arguments]
        with (self.folder / 'log').open('ab') as log:
            return subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)

    @property
    def log(self) -> str:
        return (self.folder / 'log').read_text()

    def start(self) -> None:
        self.process = self.run('postgres', '-D', str(self.folder / 'data'), '-p', str(self.port), *OPTIONS)
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            self.execute('SELECT 1')
        except OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement))

    def ask(self, statement: str) -> Any:
        """Return the first value of the first row."""
        with self.engine.connect() as connection:
            return connection.execute(text(statement)).scalar()

    def kill(self) -> None:
        """Stop the server at once like `pg_ctl stop -m immediate`, without waiting for clients or a checkpoint."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every process meanwhile: the kernel still accepts connections, but no request gets a response."""
        send_signal([self.process.pid], signal.SIGSTOP)  # the parent first, so that it starts no other child
        stopped = [self.process.pid, *children_of(self.process)]
        send_signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            send_signal(stopped, signal.SIGCONT)

    def url(self, database: str) -> str:
        return f'postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}'


def find_binaries() -> Path:
    """Return the folder of `initdb`, of the newest PostgreSQL if several are installed."""
    if found := shutil.which('initdb'):
        return Path(found).resolve().parent
    folders = sorted(Path('/usr/lib/postgresql').glob('*/bin/initdb'), key=lambda path: int(path.parts[4]))
    if folders:
        return folders[-1].parent
    bindir = subprocess.run(['pg_config', '--bindir'], capture_output=True, text=True, check=True).stdout.strip()
    return (Path(bindir) / 'initdb').resolve(strict=True).parent
