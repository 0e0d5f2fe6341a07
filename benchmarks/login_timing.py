"""Test whether the time of a failed login reveals that a username exists: `python -m benchmarks.login_timing USERNAME`.

On the database of DATABASE_URL: a hundred logins with a wrong password and a hundred with an unknown username,
alternately. Prints the medians and their difference.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from api.app import create_app
from benchmarks.measure import basic, caller


def milliseconds(call: Callable[[], bytes]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('username', help='the name of an existing user')
    app = create_app()
    names = {'wrong password': parser.parse_args().username, 'unknown name': 'unknown-user'}
    calls = {kind: caller(app, '/api/tokens', basic(name, 'not the password'), 'POST') for kind, name in names.items()}
    times = {kind: [] for kind in calls}
    for _ in range(100):
        for kind, call in calls.items():
            times[kind].append(milliseconds(call))
    wrong, unknown = (statistics.median(values) for values in times.values())
    print(f'wrong password {wrong:.2f} ms, unknown name {unknown:.2f} ms, {abs(wrong / unknown - 1):.1%} apart')


if __name__ == '__main__':
    main()
