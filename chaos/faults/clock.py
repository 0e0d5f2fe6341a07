"""Fault: clock jumps."""

import os
import subprocess
import sys
import time
from pathlib import Path

from chaos.findings import Findings, LeftOut
from chaos.load import Load
from chaos.stage import Stage, log_in
from support.servers import ROOT

# Where `make chaos` and Debian install libfaketime.
PLACES = (
    (ROOT / 'chaos' / '.libfaketime', '**/libfaketime*.so.1'),
    (Path('/usr/lib'), '*/faketime/libfaketimeMT.so.1'),
)
PRINT_THE_YEAR = 'import time; print(time.gmtime().tm_year)'


def jumps(stage: Stage, findings: Findings) -> None:
    clock = stage.folder / 'clock'
    clock.write_text('+0')
    stage.migrate()
    with stage.serving(ROOT, **faked(clock)) as server:
        token = log_in(server)
        for jump, expected in (('+0', 200), ('+2h', 401), ('-2h', 200), ('+0', 200)):
            clock.write_text(jump)
            status = server.ask('GET', '/api/me', Authorization=f'Bearer {token}').status
            with Load(stage, server) as load:
                time.sleep(2)
            failed = load.others(200, 201).total() + load.lost()
            figure = f'{jump}: {status}, {failed} of {len(load.outcomes)} others failed or lost'
            findings.expect(status == expected and not failed, figure)


def faked(clock: Path) -> dict[str, str]:
    """Return environment variables that set the wall clock from a file, without a change of the monotonic clock.

    Raise LeftOut if libfaketime is not installed.
    """
    for place, pattern in PLACES:
        for library in place.glob(pattern):
            fake = {'LD_PRELOAD': str(library), 'FAKETIME_DONT_FAKE_MONOTONIC': '1', 'FAKETIME_NO_CACHE': '1'}
            if works(fake):
                return fake | {'FAKETIME_TIMESTAMP_FILE': str(clock)}
    raise LeftOut('libfaketime is not installed')


def works(fake: dict[str, str]) -> bool:
    environment = os.environ | fake | {'FAKETIME': '@2001-02-03 04:05:06'}
    words = [sys.executable, '-c', PRINT_THE_YEAR]
    return subprocess.run(words, env=environment, capture_output=True).stdout.strip() == b'2001'
