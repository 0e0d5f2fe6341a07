"""Generate clients in Python and TypeScript from the document, check their types, and run one story with each.

`make clients` installs the tools. Generated code is written to a temporary folder, without network access.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import databases
from support.servers import ROOT, start_server

DOCUMENT = ROOT / 'docs' / 'openapi.json'
HERE = Path(__file__).parent
PYTHON = HERE / '.venv' / 'bin'
NODE = HERE / 'node_modules'
ENVIRONMENT = os.environ | {'DO_NOT_TRACK': '1', 'REDOCLY_TELEMETRY': 'off'}
# The generator does not support JSON Lines and omits this operation.
LEFT_OUT = ['WARNING parsing GET /api/me/export within account.']


def run(*command: Path | str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True)


def make_python(folder: Path) -> None:
    """Generate the package `microblog`, and check its types and those of the story."""
    options = ['--meta', 'none', '--config', HERE / 'generator.yaml', '--output-path', folder / 'microblog']
    command = [PYTHON / 'openapi-python-client', 'generate', '--path', DOCUMENT, *options]
    stderr = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stderr
    assert [line for line in stderr.splitlines() if line.startswith('WARNING')] == LEFT_OUT, stderr
    run(PYTHON / 'mypy', '--strict', 'story.py', 'microblog', folder=folder)


def make_typescript(folder: Path) -> None:
    """Generate `schema.ts`, and compile `story.js` if the types match."""
    (folder / 'node_modules').symlink_to(NODE)
    # Fields with a default may be omitted in a request.
    options = ['--default-non-nullable=false', '--output=schema.ts']
    run(NODE / '.bin' / 'openapi-typescript', DOCUMENT, *options, folder=folder)
    run(NODE / '.bin' / 'tsc', folder=folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ('package.json', 'story.py', 'story.ts', 'tsconfig.json'):
            shutil.copy(HERE / file, folder)
        make_python(folder)
        make_typescript(folder)
        [database_url] = databases.sqlite(folder, 'microblog')
        databases.upgrade(database_url)
        with start_server(database_url) as server:
            url = f'http://127.0.0.1:{server.port}'
            run(PYTHON / 'python', 'story.py', url, folder=folder)
            run('node', 'story.js', url, folder=folder)
    print('The story passed in Python and in TypeScript.')


if __name__ == '__main__':
    main()
