"""Compare the application with its peers: `make bench`, or `python -m benchmarks.bench` with the options below.

It creates the environments of the peers, and seeds and keeps the databases. The cost of a case is the CPU time per
request, of the process and the PostgreSQL processes together. Contenders run alternately, batch by batch, and ratios
compare neighbouring batches. A run of all cases is written to docs/performance.md and the files next to it.
"""

import argparse
import platform
import time
from pathlib import Path
from typing import Any

from benchmarks import data, report
from benchmarks.contenders import CONTENDERS, PACKAGES, Runner, install
from benchmarks.http_rounds import measure_http
from benchmarks.rounds import Options, measure

DATABASES = ('sqlite', 'postgresql')


def main() -> None:
    options = parse()
    if options.clean:
        return data.drop_all()
    data.FOLDER.mkdir(parents=True, exist_ok=True)
    install()
    databases = DATABASES if options.database == 'both' else (options.database,)
    keys = options.cases.split(',') if options.cases else None
    runs = [run(database, keys, options) for database in databases]
    versions = versions_of(data.database_url(databases[0], options.scale))
    report.save(data.FOLDER / 'results.json', runs, versions)
    for each in runs:
        print('\n' + report.title(each) + '\n')
        print(report.table(each) + '\n\n' + report.profile(each))
    if keys is None:
        report.publish(runs, versions)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--database', choices=(*DATABASES, 'both'), default='both')
    parser.add_argument('--scale', type=int, default=1, help='multiple of 20,000 users and their data')
    parser.add_argument('--http', action='store_true', help='use real servers with one worker and 8 connections')
    parser.add_argument('--pairs', type=int, default=9)
    parser.add_argument('--cases', help='comma-separated: user, users-25, ...; does not write docs/performance.md')
    parser.add_argument('--clean', action='store_true', help='only drop the databases')
    return parser.parse_args()


def run(database: str, keys: list[str] | None, options: argparse.Namespace) -> dict[str, Any]:
    url = data.database_url(database, options.scale)
    mode = 'http' if options.http else 'call'
    print(f'{database}, {options.scale * data.USERS} users', flush=True)
    take = measure_http if options.http else measure
    results = take(url, Options(options.pairs, keys, not options.http), data.FOLDER)
    described = {'database': database, 'scale': options.scale, 'users': options.scale * data.USERS, 'mode': mode}
    return {**described, 'pairs': options.pairs, 'date': time.strftime('%Y-%m-%d'), 'cases': results}


def versions_of(url: str) -> dict[str, Any]:
    """Return the machine and the versions of the software."""
    found: dict[str, Any] = {'machine': machine(), 'databases': data.versions()}
    for environment, packages in PACKAGES.items():
        contender = next(each for each in CONTENDERS if each.environment == environment)
        if packages:
            runner = Runner.start(contender, url, data.FOLDER / 'none')
            found[environment] = runner.tell('versions', packages=packages)
            runner.stop()
    return found


def machine() -> str:
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{len(models)} cores ({models[0]}), {platform.system()} {platform.release()}'


if __name__ == '__main__':
    main()
