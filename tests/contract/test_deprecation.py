"""Tests of how clients learn about changes of the document and about deprecated operations."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from apifairy import authenticate
from flask import Blueprint
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from api.app import create_app
from api.db.session import db
from api.http.auth import token_auth
from api.http.deprecation import deprecated
from api.http.responses import response
from api.openapi_diff.releases import check_breaks
from api.schemas.health import HealthSchema
from config import Settings
from tests.support.client import Client

SINCE, SUNSET = date(2027, 1, 1), date(2027, 7, 1)
DEPRECATION_HEADER, SUNSET_HEADER = '@1798761600', 'Thu, 01 Jul 2027 00:00:00 GMT'

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')
old = Blueprint('old', __name__)


@old.get('/api/old/<int:id>')
@deprecated(since=SINCE, sunset=SUNSET)
@authenticate(token_auth, role='users:read')
@response(HealthSchema)
def show(id: int) -> dict[str, str]:
    """Show an old resource

    For existing clients.
    """
    return {'status': 'ok'}


@old.get('/api/older')
@deprecated(since=SINCE)
@response(HealthSchema)
def index() -> dict[str, str]:
    """List old resources

    For existing clients.
    """
    return {'status': 'ok'}


@pytest.fixture
def with_old(settings: Settings) -> Iterator[FlaskClient]:
    """Return a client of an application with deprecated operations."""
    app = create_app(settings)
    app.register_blueprint(old)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


def test_changelog_starts_with_unreleased_changes(anonymous: Client) -> None:
    items = anonymous.get('/api/changelog').json['items']
    assert [item['date'] for item in items][-1] == '2026-11-22'
    assert items[0]['date'] is None
    found = check_breaks().changes
    assert items[0]['changes'] == [change._asdict() for change in found]


def test_every_response_has_the_document_digest(anonymous: Client) -> None:
    digest = anonymous.get('/livez').headers['API-Contract']
    assert len(digest) == 32
    for path in (
        '/api/users',
        '/api/users/1',
        '/docs',
        '/docs/assets/swagger-ui.css',
        '/nowhere',
        '/',
        '/apispec.json',
    ):
        with anonymous.get(path) as response:
            assert response.headers['API-Contract'] == digest, path
    assert anonymous.post('/livez').headers['API-Contract'] == digest
    assert anonymous.open('/api/users', method='OPTIONS').headers['API-Contract'] == digest


def test_document_is_revalidated_by_etag(anonymous: Client) -> None:
    response = anonymous.get('/apispec.json')
    assert response.headers['ETag'] == f'"{response.headers["API-Contract"]}"'
    same = anonymous.get('/apispec.json', headers={'If-None-Match': response.headers['ETag']})
    assert (same.status_code, same.data, same.headers['ETag']) == (304, b'', response.headers['ETag'])
    assert anonymous.get('/apispec.json', headers={'If-None-Match': '"another"'}).data == response.data


def test_digest_is_the_same_in_every_process(settings: Settings, with_old: FlaskClient) -> None:
    digests = set()
    for _ in range(2):
        app = create_app(settings)
        digests.add(app.test_client().get('/livez').headers['API-Contract'])
        with app.app_context():
            db.engine.dispose()
    assert len(digests) == 1
    assert with_old.get('/livez').headers['API-Contract'] not in digests


def test_first_request_may_use_another_host(settings: Settings) -> None:
    app = create_app(replace(settings, trusted_hosts=('api.example.com',)))
    response = app.test_client().get('/apispec.json', headers={'Host': 'evil.example.net'})
    with app.app_context():
        db.engine.dispose()
    assert (response.status_code, len(response.headers['API-Contract'])) == (400, 32)


@pytest.mark.parametrize(
    ('path', 'status', 'expected'),
    [
        ('/api/old/1', 401, [DEPRECATION_HEADER, SUNSET_HEADER]),
        ('/api/older', 200, [DEPRECATION_HEADER, None]),
        ('/livez', 200, [None, None]),
        ('/nowhere', 404, [None, None]),
    ],
)
def test_deprecated_operations_send_headers(
    with_old: FlaskClient, path: str, status: int, expected: list[str | None]
) -> None:
    response = with_old.get(path)
    assert response.status_code == status
    assert [response.headers.get(name) for name in ('Deprecation', 'Sunset')] == expected


def test_document_marks_deprecated_operations(with_old: FlaskClient) -> None:
    document = with_old.get('/apispec.json').json
    validate(document)
    shown, listed, alive = (document['paths'][path]['get'] for path in ('/api/old/{id}', '/api/older', '/livez'))
    assert (shown['deprecated'], listed['deprecated'], 'deprecated' in alive) == (True, True, False)
    assert shown['description'].endswith('Deprecated since 2027-01-01; it will be removed on 2027-07-01.')
    assert listed['description'] == 'For existing clients.\n\nDeprecated since 2027-01-01.'
    assert {'200', '401', '403', '404', '500'} < set(shown['responses'])
    assert document['x-headers'].keys() >= {'API-Contract', 'Deprecation', 'Sunset'}
