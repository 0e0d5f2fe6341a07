import signal
from types import SimpleNamespace

import pytest

from api import process


def test_a_process_that_starts_can_be_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[tuple[object, ...]] = []
    monkeypatch.setattr(process.signal, 'signal', lambda *what: handled.append(what))
    monkeypatch.setattr(process, 'import_module', lambda name: SimpleNamespace(app=f'{name}.app'))
    assert process.application() == 'main.app'
    assert handled == [(signal.SIGTERM, signal.SIG_DFL)]
