"""Tests of links, well-known URLs and CORS."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask

from api.app import create_app
from api.clock import utcnow
from api.db.session import db
from config import Settings
from tests.operations.test_server import variant
from tests.support.client import Client

ORIGIN, IPV6 = 'https://app.example.com', 'http://[::1]:3000'


@pytest.fixture
def open_client(app: Flask, settings: Settings) -> Iterator[Client]:
    """Yield a client of an application that allows two origins and has a security contact."""
    origins = {'cors_origins': (ORIGIN, IPV6), 'public_url': 'https://api.example.com'}
    opened = create_app(variant(settings, security_contact='mailto:security@example.com', **origins))
    opened.test_client_class = Client
    client = opened.test_client()
    assert isinstance(client, Client)
    yield client
    with opened.app_context():
        db.engine.dispose()


def cors_of(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith('Access-Control')}


def test_no_origin_is_allowed_by_default(anonymous: Client) -> None:
    for method in ('GET', 'OPTIONS'):
        response = anonymous.open('/api/users', method=method, headers={'Origin': ORIGIN})
        assert not cors_of(response)


@pytest.mark.parametrize('origin', [ORIGIN, IPV6])
@pytest.mark.parametrize(('path', 'status'), [('/livez', 200), ('/api/users', 401), ('/nowhere', 404), ('/docs', 200)])
def test_allowed_origin_reads_every_response(open_client: Client, origin: str, path: str, status: int) -> None:
    response = open_client.get(path, headers={'Origin': origin})
    assert response.status_code == status
    assert cors_of(response)['Access-Control-Allow-Origin'] == origin
    assert 'Access-Control-Allow-Credentials' not in response.headers
    assert {'ETag', 'Link', 'Location', 'RateLimit', 'Retry-After', 'API-Contract'} <= set(
        cors_of(response)['Access-Control-Expose-Headers'].split(', ')
    )
    assert 'Origin' in ', '.join(response.headers.getlist('Vary'))


@pytest.mark.parametrize(
    'origin',
    [
        'https://app.example.com.evil.net',
        'https://appXexample.com',
        'http://app.example.com',
        'https://app.example.com:8443',
        'null',
        '*',
        '',
    ],
)
def test_other_origins_are_rejected(open_client: Client, origin: str) -> None:
    response = open_client.get('/api/users', headers={'Origin': origin})
    assert 'Access-Control-Allow-Origin' not in response.headers


def test_preflight_allows_what_integrators_need(open_client: Client) -> None:
    preflight = {
        'Origin': ORIGIN,
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'authorization, content-type, if-match, idempotency-key, prefer',
    }
    response = open_client.open('/api/users/1', method='OPTIONS', headers=preflight)
    assert response.status_code == 200
    assert 'PATCH' in response.headers['Access-Control-Allow-Methods']
    allowed = response.headers['Access-Control-Allow-Headers'].lower().split(', ')
    assert set(allowed) == {'authorization', 'content-type', 'if-match', 'idempotency-key', 'prefer'}
    assert response.headers['Access-Control-Max-Age'] == '600'


def test_api_catalog_links_document_and_docs(open_client: Client) -> None:
    response = open_client.get('/.well-known/api-catalog')
    assert response.headers['Content-Type'].startswith('application/linkset+json; profile="')
    (links,) = response.json['linkset']
    assert links['anchor'] == 'https://api.example.com/api'
    assert links['service-desc'][0]['href'] == 'https://api.example.com/apispec.json'
    for relation in ('service-desc', 'service-doc', 'status'):
        with open_client.get(links[relation][0]['href'].removeprefix('https://api.example.com')) as found:
            assert found.status_code == 200, relation
            assert found.mimetype.split('+')[0] in ('application/json', 'text/html')
    assert open_client.head('/.well-known/api-catalog').headers['Link'] == response.headers['Link']


@pytest.mark.parametrize('path', ['/', '/docs', '/.well-known/api-catalog'])
def test_entry_points_link_document_and_docs(anonymous: Client, path: str) -> None:
    link = anonymous.get(path).headers['Link']
    for relation in ('</apispec.json>; rel="service-desc"', '</docs>; rel="service-doc"', 'rel="api-catalog"'):
        assert relation in link


def test_security_txt_names_the_contact(open_client: Client, anonymous: Client) -> None:
    response = open_client.get('/.well-known/security.txt')
    assert response.headers['Content-Type'] == 'text/plain; charset=utf-8'
    fields = dict(line.split(': ', 1) for line in response.text.splitlines())
    assert fields['Contact'] == 'mailto:security@example.com'
    assert fields['Canonical'] == 'https://api.example.com/.well-known/security.txt'
    assert 0 < (datetime.fromisoformat(fields['Expires']) - utcnow()).days < 366
    assert anonymous.get('/.well-known/security.txt').status_code == 404
