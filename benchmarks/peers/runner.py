"""Run one contender in its own process: `python -m benchmarks.peers.runner MODULE wsgi|asgi`.

It needs only the standard library and the imports of the module. It reads commands from standard input, one JSON object
per line, and writes one JSON object for each:

    {"do": "ask", "request": {...}}                  the response: status, type, body
    {"do": "run", "request": {...}, "times": 100}    the CPU seconds of this process
    {"do": "profile", "request": {...}, "seconds": 4, "layers": [...]}    see layers.py
    {"do": "versions", "packages": [...]}            of installed packages

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
    # Output of the application must not be read as a response.
    responses = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    runner = Runner(INTERFACES[interface](importlib.import_module(module).app))
    for line in sys.stdin:
        command = json.loads(line)
        response = getattr(runner, command.pop('do'))(**command)
        responses.write(json.dumps(response) + '\n')
        responses.flush()
    responses.close()
    # Not sys.exit(), which would interrupt the shutdown of the application's lifespan.
    os._exit(0)


class Runner:
    """Return the commands. repeat: makes a request several times and returns the last response."""

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
