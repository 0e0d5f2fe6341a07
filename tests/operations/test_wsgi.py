"""Web processes whose parent has died. `tests/operations/test_server.py` tests the same with a real server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import process_groups
from support.servers import ROOT

# A replacement for the application, `main.app`.
MAIN = """
import signal, threading

app = threading.Event()
signal.signal(signal.SIGTERM, {handler})
"""
# A parent that is killed once its child serves. As in granian, multiprocessing starts the child; other than in granian,
# the child is spawned, not forked, so that its coverage is measured.
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
    ids=['stops', 'does not stop'],
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
        # The child holds the other end of the pipe too, so reading ends when the child has ended.
        output, _ = parent.communicate(timeout=process_groups.WAIT_TIMEOUT)
    finally:
        process_groups.kill(parent)
    assert output == printed
