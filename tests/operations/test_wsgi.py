"""Web processes that lost their parent. `tests/operations/test_server.py` does the same with a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import process_groups
from support.servers import ROOT

# Stands for the application: `main.app`.
MAIN = """
import signal, threading

app = threading.Event()
signal.signal(signal.SIGTERM, {handler})
"""
# A parent that is killed once its child serves. Like granian's, the child is one of multiprocessing; unlike granian's,
# it is not forked, so that its coverage is measured.
PARENT = """
import multiprocessing, os, signal
from api.server import wsgi

def serve(serving):
    wsgi.STOP_TIMEOUT = {timeout}
    app = wsgi.load_app()
    serving.set()
    app.wait()
    print('stopped', 'with an alarm' * (signal.alarm(0) > 0))

if __name__ == '__main__':
    context = multiprocessing.get_context('spawn')
    serving = context.Event()
    context.Process(target=serve, args=(serving,)).start()
    serving.wait()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ('handler', 'timeout', 'printed'),
    [
        ('lambda *_: app.set()', 3600, 'stopped with an alarm\n'),
        ('signal.SIG_IGN', 1, ''),
    ],
    ids=['it stops', 'it does not stop'],
)
def test_process_without_parent_ends(tmp_path: Path, handler: str, timeout: int, printed: str) -> None:
    (tmp_path / 'main.py').write_text(MAIN.format(handler=handler))
    (tmp_path / 'parent.py').write_text(PARENT.format(timeout=timeout))
    parent = process_groups.start(
        [sys.executable, str(tmp_path / 'parent.py')],
        env=os.environ | {'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        # Read until the child, which has the other end too, has ended.
        output, _ = parent.communicate(timeout=process_groups.WAIT_TIMEOUT)
    finally:
        process_groups.kill(parent)
    assert output == printed
