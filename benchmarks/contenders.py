"""The contenders: their environments, and a runner process for each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.cases import Case
from benchmarks.peers.cursors import SECRET_KEY

ROOT = Path(__file__).parents[1]
PEERS = ROOT / 'benchmarks' / 'peers'
ENVIRONMENTS = ROOT / 'benchmarks' / '.venvs'
PACKAGES = {
    'microblog': ('flask', 'apifairy', 'marshmallow', 'sqlalchemy', 'psycopg', 'orjson', 'granian'),
    'flask_orm': ('flask', 'flask-sqlalchemy', 'flask-marshmallow'),
    'fastapi_async': ('fastapi', 'pydantic', 'asyncpg', 'aiosqlite', 'uvloop'),
    'limits': (),
}


# Contenders in which PostgreSQL writes the JSON.
LIMITS = ('query', 'flask_query')


class Contender(NamedTuple):
    """One application. key: its name in files. environment: in benchmarks/.venvs; 'microblog' is the project's."""

    key: str
    name: str
    module: str
    interface: str
    environment: str

    @property
    def python(self) -> Path:
        folder = ROOT / '.venv' if self.environment == 'microblog' else ENVIRONMENTS / self.environment
        return folder / 'bin' / 'python'

    @property
    def application_name(self) -> str:
        """Return the application name that identifies its PostgreSQL processes."""
        return 'microblog' if self.key == 'microblog' else f'microblog_bench_{self.key}'

    def settings(self, url: str, responses: Path) -> dict[str, str]:
        return os.environ | {
            'ENVIRONMENT': 'development',
            'DATABASE_URL': url,
            'SECRET_KEY': SECRET_KEY,
            # The other contenders have neither logs nor rate limits.
            'LOG_LEVEL': 'ERROR',
            'RATELIMIT_ENABLED': 'false',
            'APPLICATION_NAME': self.application_name,
            'ANSWERS': str(responses),
        }

    def takes(self, case: Case, database: str) -> bool:
        """Return whether it supports the case."""
        if self.key in LIMITS:
            return database == 'postgresql' and case.key.startswith('user')
        return self.key != 'prebuilt' or case.method == 'GET'


MICROBLOG = Contender('microblog', 'Microblog API', 'benchmarks.peers.microblog', 'wsgi', 'microblog')
CONTENDERS = [
    MICROBLOG,
    Contender('orm', '(a) Flask, entities', 'benchmarks.peers.flask_orm.app', 'wsgi', 'flask_orm'),
    Contender('fastapi', '(b) FastAPI, async', 'benchmarks.peers.fastapi_async.app', 'asgi', 'fastapi_async'),
    Contender('query', '(c) one query', 'benchmarks.peers.limits.query', 'wsgi', 'limits'),
    Contender('flask_query', '(c) the same in Flask', 'benchmarks.peers.limits.flask_query', 'wsgi', 'flask_orm'),
    Contender('prebuilt', '(c) bytes', 'benchmarks.peers.limits.prebuilt', 'wsgi', 'limits'),
]


def install() -> None:
    """Create the environments of the peers, or recreate those whose requirements changed."""
    for folder in sorted({contender.environment for contender in CONTENDERS} - {'microblog'}):
        required = (PEERS / folder / 'requirements.txt').read_text()
        environment, mark = ENVIRONMENTS / folder, ENVIRONMENTS / folder / 'installed.txt'
        if mark.exists() and mark.read_text() == required:
            continue
        print(f'installing {folder} into {environment.relative_to(ROOT)}', flush=True)
        subprocess.run([sys.executable, '-m', 'venv', '--clear', environment], check=True)
        pip: list[str | Path] = [environment / 'bin' / 'pip', 'install', '--quiet', '--disable-pip-version-check']
        subprocess.run([*pip, '-r', PEERS / folder / 'requirements.txt'], check=True)
        mark.write_text(required)


class Runner:
    """The process of a contender. peers/runner.py lists its commands."""

    def __init__(self, contender: Contender, process: 'subprocess.Popen[str]'):
        self.contender, self.process = contender, process

    @classmethod
    def start(cls, contender: Contender, url: str, responses: Path) -> Self:
        what = ['-m', 'benchmarks.peers.runner', contender.module, contender.interface]
        command: list[str | Path] = [contender.python, *what]
        pipes: dict[str, Any] = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        return cls(contender, subprocess.Popen(command, cwd=ROOT, env=contender.settings(url, responses), **pipes))

    def tell(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps({'do': do, **arguments}) + '\n')
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise SystemExit(f'{self.contender.name} ended with {self.process.wait()}') from None

    def stop(self) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(contenders: list[Contender], url: str, responses: Path) -> Iterator[list[Runner]]:
    runners: list[Runner] = []
    try:
        for contender in contenders:
            runners.append(Runner.start(contender, url, responses))
        yield runners
    finally:
        for runner in runners:
            runner.stop()
