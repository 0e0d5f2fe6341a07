"""What a web process serves. It imports little, so that hardly any time passes before a signal ends the process."""

import signal
from importlib import import_module
from typing import Any


def application() -> Any:
    """The application, for granian's processes.

    They inherit its handlers, which do nothing in them: told to stop while they start, they would have to be killed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return import_module('main').app
