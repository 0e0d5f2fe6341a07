"""Whether the time of a refused log-in tells that a name exists: `python -m benchmarks.login_timing USERNAME`.

On the database of DATABASE_URL. A hundred log-ins with a wrong password and a hundred with a name that nobody has, in
turn; prints the medians and how far they are apart.
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
    parser.add_argument('username', help='of a user that there is')
    app = create_app()
    names = {'wrong password': parser.parse_args().username, 'unknown name': 'nobody-at-all'}
    calls = {kind: caller(app, '/api/tokens', basic(name, 'not the password'), 'POST') for kind, name in names.items()}
    times = {kind: [] for kind in calls}
    for _ in range(100):
        for kind, call in calls.items():
            times[kind].append(milliseconds(call))
    wrong, unknown = (statistics.median(values) for values in times.values())
    print(f'wrong password {wrong:.2f} ms, unknown name {unknown:.2f} ms, {abs(wrong / unknown - 1):.1%} apart')


if __name__ == '__main__':
    main()
