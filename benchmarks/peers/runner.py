"""One contender in a process of its own: `python -m benchmarks.peers.runner MODULE wsgi|asgi`.

It needs nothing but the standard library and what the module imports. Commands come from standard input, a JSON object
a line, and each is answered with one:

    {"do": "ask", "request": {...}}                  what the contender answers: status, type, body
    {"do": "run", "request": {...}, "times": 100}    the seconds of CPU that this process spent on it
    {"do": "profile", "request": {...}, "seconds": 4, "layers": [...]}    see layers.py
    {"do": "versions", "packages": [...]}            of those that are installed here

A request has a method, a path with its query, a token, and a body or null.
"""

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.peers.calling import Answer, asgi, wsgi
from benchmarks.peers.layers import sampled

INTERFACES: dict[str, Callable[[Any], Any]] = {'wsgi': wsgi, 'asgi': asgi}


def main() -> None:
    module, interface = sys.argv[1:]
    # What the application prints is not to be taken for an answer.
    responses = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    runner = Runner(INTERFACES[interface](importlib.import_module(module).app))
    for line in sys.stdin:
        command = json.loads(line)
        response = getattr(runner, command.pop('do'))(**command)
        responses.write(json.dumps(response) + '\n')
        responses.flush()
    responses.close()
    # Not sys.exit(): an application's lifespan would be torn down half way.
    os._exit(0)


class Runner:
    """What the commands do. repeat: makes a request several times and returns the last answer."""

    def __init__(self, repeat: Callable[[dict[str, Any], int], Answer]):
        self.repeat = repeat

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.repeat(request, 1)._asdict()

    def run(self, request: dict[str, Any], times: int) -> float:
        began = time.process_time()
        self.repeat(request, times)
        return time.process_time() - began

    def profile(self, request: dict[str, Any], seconds: float, layers: list[tuple[str, str, str]]) -> dict[str, int]:
        end = time.process_time() + seconds
        with sampled(layers) as counts:
            while time.process_time() < end:
                self.repeat(request, 50)
        return counts

    def versions(self, packages: list[str]) -> dict[str, str]:
        found = {'Python': platform.python_version()}
        for package in packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        return found


if __name__ == '__main__':
    main()
