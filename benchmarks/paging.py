"""Compare the cost of a deep page of a collection with page 2: `python -m benchmarks.paging`.

On the database of DATABASE_URL, filled by `flask seed --users 20000 --follows 200000 --posts 0 --likes 0`. Pages are
requested by their links. Prints CPU per request, of this process and PostgreSQL together, and the ratio to page 2.
"""

import argparse
import statistics

import orjson

from api.app import create_app
from benchmarks.measure import bearer, caller, compare, ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('username')
    parser.add_argument('password')
    parser.add_argument('--collection', default='/api/users')
    parser.add_argument('--page', type=int, default=2000)
    options = parser.parse_args()
    app = create_app()
    headers = bearer(app, options.username, options.password)

    def linked(page: int) -> str:
        """Return the link to a page from the previous one."""
        before = caller(app, f'{options.collection}?page={page - 1}', headers)()
        return orjson.loads(before)['_links']['next']

    paths = {
        'page 2': linked(2),
        f'page {options.page} by its link': linked(options.page),
        f'page {options.page} by its number': f'{options.collection}?page={options.page}',
    }
    calls = {name: caller(app, path, headers) for name, path in paths.items()}
    spent = compare(app, calls, rounds=9, batch=300)
    for name, seconds in spent.items():
        print(f'{name:28} {statistics.median(seconds) * 1e6:6.0f} us   {ratio(seconds, spent["page 2"])} of page 2')


if __name__ == '__main__':
    main()
