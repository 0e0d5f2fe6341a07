"""Compare the cost of two revisions of this repository: `python -m benchmarks.revisions OLD [NEW]`.

Each runs in its own process on its own database with the same rows, and they are measured alternately. NEW defaults to
the working tree. The figure is CPU per request, of the process and of PostgreSQL.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.measure import ratio

ROOT = Path(__file__).parents[1]
POSTGRESQL = 'postgresql+psycopg://postgres@127.0.0.1:5432/'
CASES = ('one user', '25 users', 'feed', 'a new post', 'a change')
ROUNDS, BATCH = 31, 50

# Runs in the tree of the revision, so it uses only what every revision has.
CONTENDER = """
import json, sys
from unittest.mock import patch
from flask import Flask
from benchmarks.measure import backends, bearer_of, caller, cpu
from api.app import create_app
try:
    from api.db.session import db
    from api.actions.posts import create_post
except ImportError:
    from api.extensions import db
    from api.actions.posts import write_post as create_post
from api.actions.follows import follow_user
from config import Settings

app = create_app(Settings(database_url=sys.argv[1], log_level='ERROR'))
app.test_cli_runner().invoke(args=['db', 'upgrade'])
app.test_cli_runner().invoke(args=['seed', '--users', '200', '--follows', '1000', '--posts', '1000', '--likes', '1000'])
token = bearer_of(app, 1)

def writing(method, path, body):
    import io
    data = json.dumps(body).encode()
    kind = 'application/json'
    def call():
        environ = dict(base, REQUEST_METHOD=method, PATH_INFO=path, CONTENT_TYPE=kind,
                       CONTENT_LENGTH=str(len(data)), **{'wsgi.input': io.BytesIO(data)})
        answer = app(environ, lambda status, headers, exc_info=None: None)
        body = b''.join(answer)  # a list, which has no close()
        return body
    from werkzeug.test import EnvironBuilder
    base = EnvironBuilder(headers=token).get_environ()
    return call

calls = {
    'one user': caller(app, '/api/users/2', token),
    '25 users': caller(app, '/api/users?per_page=25', token),
    'feed': caller(app, '/api/feed?per_page=25', token),
    'a new post': writing('POST', '/api/posts', {'text': 'hello'}),
    'a change': writing('PUT', '/api/users/1', {'about_me': 'hello'}),
}
for call in calls.values():
    for _ in range(30):
        call()
pids = backends(app)
print('ready', flush=True)
for line in sys.stdin:
    name, times = json.loads(line)
    began = cpu(pids)
    for _ in range(times):
        calls[name]()
    print((cpu(pids) - began) / times, flush=True)
"""


@contextmanager
def tree(revision: str | None) -> Iterator[Path]:
    """Yield a checkout of the revision, or the working tree for None."""
    if revision is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ['git', 'worktree', 'add', '--detach', folder, revision], cwd=ROOT, check=True, capture_output=True
        )
        try:
            yield Path(folder)
        finally:
            subprocess.run(['git', 'worktree', 'remove', '--force', folder], cwd=ROOT, check=True)


@contextmanager
def database(kind: str, name: str) -> Iterator[str]:
    if kind == 'sqlite':
        with tempfile.TemporaryDirectory() as folder:
            yield f'sqlite:///{folder}/{name}.sqlite'
        return
    engine = create_engine(f'{POSTGRESQL}postgres', isolation_level='AUTOCOMMIT')
    drop = text(f'DROP DATABASE IF EXISTS {name} WITH (FORCE)')
    with engine.connect() as connection:
        connection.execute(drop)
        connection.execute(text(f'CREATE DATABASE {name}'))
        yield f'{POSTGRESQL}{name}'
        connection.execute(drop)


@contextmanager
def contender(revision: str | None, kind: str, name: str) -> Iterator[Callable[[str], float]]:
    """Yield a function that runs a batch of a case and returns the CPU seconds per request."""
    with tree(revision) as folder, database(kind, name) as url:
        command = [sys.executable, '-c', CONTENDER, url]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == 'ready\n'

        def run(case: str) -> float:
            process.stdin.write(f'["{case}", {BATCH}]\n')
            process.stdin.flush()
            return float(process.stdout.readline())

        yield run
        process.stdin.close()
        process.wait()


def main(old: str, new: str | None = None) -> None:
    for kind in ('sqlite', 'postgresql'):
        with ExitStack() as stack:
            before = stack.enter_context(contender(old, kind, 'microblog_before'))
            after = stack.enter_context(contender(new, kind, 'microblog_after'))
            for case in CASES:
                pairs = [(after(case), before(case)) for _ in range(ROUNDS)]
                print(f'{kind:12}{case:12}{ratio([a for a, _ in pairs], [b for _, b in pairs])}')


if __name__ == '__main__':
    main(*sys.argv[1:])
