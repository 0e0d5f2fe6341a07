"""The commands in the README print the output that is shown there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import databases
from support.servers import ROOT, start_server

README = (ROOT / 'README.md').read_text()


def transcript() -> Iterator[tuple[str, str]]:
    """Yield (command, expected output) for each line that begins with a prompt."""
    for block in re.findall(r'```console\n(.*?)```', README, re.DOTALL):
        for part in re.split(r'^\$ ', block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition('\n')
            yield command, printed


def normalize(text: str) -> str:
    text = re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', '<moment>', text)
    return re.sub(r'"([0-9a-f]{32}|mb_[0-9A-Za-z]{49})"', '"<token>"', text)


def run_command(command: str, port: int, token: str) -> str:
    words = shlex.split(command.replace('$TOKEN', token).replace(':5000', f':{port}'))
    assert words[0] == 'http'
    ran = subprocess.run(
        [str(Path(sys.executable).with_name('http')), '--ignore-stdin', '--pretty=format', *words[1:]],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@pytest.mark.process
def test_readme_transcripts_are_real(tmp_path: Path) -> None:
    url = next(databases.sqlite(tmp_path, 'readme'))
    databases.upgrade(url)
    token, checked = '', 0
    with start_server(url) as server:
        for command, expected in transcript():
            if command.startswith('TOKEN='):
                continue
            printed = run_command(command, server.port, token)
            if found := re.search(r'"token": "([0-9a-f]{32})"', printed):
                token = found[1]
            shown = printed.splitlines()[0] if ' -h ' in command else printed
            assert normalize(shown) == normalize(expected.strip()), command
            checked += 1
    assert checked == 12
