"""What 304 saves: `python -m benchmarks.conditional`, on the database of the settings, for the user with id 1.

CPU per request of the process and of PostgreSQL, the answer that is had already against the whole, in turn.
"""

from api.app import create_app
from benchmarks.measure import bearer_of, caller, compare, ratio

PATHS = ('/api/users/2', '/api/users?per_page=25', '/api/users?per_page=100', '/api/feed?per_page=25')
ROUNDS, BATCH = 21, 50


def main() -> None:
    app = create_app()
    token = bearer_of(app, 1)
    for path in PATHS:
        tag = app.test_client().get(path, headers=token).headers['ETag']
        calls = {'304': caller(app, path, token | {'If-None-Match': tag}), '200': caller(app, path, token)}
        spent = compare(app, calls, ROUNDS, BATCH)
        print(f'{path:28}{ratio(spent["304"], spent["200"])}')


if __name__ == '__main__':
    main()
