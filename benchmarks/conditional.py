"""Measure what 304 saves: `python -m benchmarks.conditional`, on the database of the settings, for the user with id 1.

Prints CPU per request of the process and of PostgreSQL, for 304 and for the full response, measured alternately. The
last line is the minimum for any authenticated response: dispatch and the token lookup only.
"""

from collections.abc import Callable

from flask import Flask, Response

from api.app import create_app
from api.http.auth import token_auth
from benchmarks.measure import bearer_of, caller, compare, ratio

PATHS = ('/api/users/2', '/api/users?per_page=25', '/api/users?per_page=100', '/api/feed?per_page=25')
ROUNDS, BATCH = 41, 30


def main() -> None:
    app = create_app()
    app.get('/api/users/<int:id>/nothing')(token_auth.login_required(role='users:read')(nothing))
    token = bearer_of(app, 1)
    for path in PATHS:
        tag = app.test_client().get(path, headers=token).headers['ETag']
        show(app, path, {'304': caller(app, path, token | {'If-None-Match': tag}), '200': caller(app, path, token)})
    least = caller(app, '/api/users/2/nothing', token)
    show(app, 'the look-up alone', {'304': least, '200': caller(app, PATHS[0], token)})


def nothing(id: int) -> Response:
    return Response(status=304)


def show(app: Flask, name: str, calls: dict[str, Callable[[], bytes]]) -> None:
    spent = compare(app, calls, ROUNDS, BATCH)
    print(f'{name:28}{ratio(spent["304"], spent["200"])}')


if __name__ == '__main__':
    main()
