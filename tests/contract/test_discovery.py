"""What clients find without being told: links, well-known places, and what browsers of other origins may do."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask

from api.app import create_app
from api.clock import utcnow
from api.extensions import db
from config import Settings
from tests.conftest import Client
from tests.contract.test_operation import variant

ORIGIN, IPV6 = 'https://app.example.com', 'http://[::1]:3000'


@pytest.fixture
def open_client(app: Flask, settings: Settings) -> Iterator[Client]:
    """A client of an application that lets two origins in, and names whom to tell of holes."""
    origins = {'cors_origins': (ORIGIN, IPV6), 'public_url': 'https://api.example.com'}
    opened = create_app(variant(settings, security_contact='mailto:security@example.com', **origins))
    opened.test_client_class = Client
    client = opened.test_client()
    assert isinstance(client, Client)
    yield client
    with opened.app_context():
        db.engine.dispose()


def cors_of(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith('Access-Control')}


def test_without_the_setting_no_origin_is_let_in(anonymous: Client) -> None:
    for method in ('GET', 'OPTIONS'):
        answer = anonymous.open('/api/users', method=method, headers={'Origin': ORIGIN})
        assert not cors_of(answer)


@pytest.mark.parametrize('origin', [ORIGIN, IPV6])
@pytest.mark.parametrize(('path', 'status'), [('/livez', 200), ('/api/users', 401), ('/nowhere', 404), ('/docs', 200)])
def test_an_origin_of_the_list_may_read_every_answer(open_client: Client, origin: str, path: str, status: int) -> None:
    answer = open_client.get(path, headers={'Origin': origin})
    assert answer.status_code == status
    assert cors_of(answer)['Access-Control-Allow-Origin'] == origin
    assert 'Access-Control-Allow-Credentials' not in answer.headers
    assert {'ETag', 'Link', 'Location', 'RateLimit', 'Retry-After', 'API-Contract'} <= set(
        cors_of(answer)['Access-Control-Expose-Headers'].split(', ')
    )
    assert 'Origin' in ', '.join(answer.headers.getlist('Vary'))


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
def test_every_other_origin_is_not(open_client: Client, origin: str) -> None:
    answer = open_client.get('/api/users', headers={'Origin': origin})
    assert 'Access-Control-Allow-Origin' not in answer.headers


def test_a_browser_that_asks_first_may_send_what_integrators_need(open_client: Client) -> None:
    asked = {
        'Origin': ORIGIN,
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'authorization, content-type, if-match, idempotency-key, prefer',
    }
    answer = open_client.open('/api/users/1', method='OPTIONS', headers=asked)
    assert answer.status_code == 200
    assert 'PATCH' in answer.headers['Access-Control-Allow-Methods']
    allowed = answer.headers['Access-Control-Allow-Headers'].lower().split(', ')
    assert set(allowed) == {'authorization', 'content-type', 'if-match', 'idempotency-key', 'prefer'}
    assert answer.headers['Access-Control-Max-Age'] == '600'


def test_the_catalogue_leads_to_the_document_and_the_documentation(open_client: Client) -> None:
    answer = open_client.get('/.well-known/api-catalog')
    assert answer.headers['Content-Type'].startswith('application/linkset+json; profile="')
    (links,) = answer.json['linkset']
    assert links['anchor'] == 'https://api.example.com/api'
    assert links['service-desc'][0]['href'] == 'https://api.example.com/apispec.json'
    for relation in ('service-desc', 'service-doc', 'status'):
        with open_client.get(links[relation][0]['href'].removeprefix('https://api.example.com')) as found:
            assert found.status_code == 200, relation
            assert found.mimetype.split('+')[0] in ('application/json', 'text/html')
    assert open_client.head('/.well-known/api-catalog').headers['Link'] == answer.headers['Link']


@pytest.mark.parametrize('path', ['/', '/docs', '/.well-known/api-catalog'])
def test_the_doors_name_the_document_and_the_documentation(anonymous: Client, path: str) -> None:
    link = anonymous.get(path).headers['Link']
    for relation in ('</apispec.json>; rel="service-desc"', '</docs>; rel="service-doc"', 'rel="api-catalog"'):
        assert relation in link


def test_whoever_finds_a_hole_knows_whom_to_tell(open_client: Client, anonymous: Client) -> None:
    answer = open_client.get('/.well-known/security.txt')
    assert answer.headers['Content-Type'] == 'text/plain; charset=utf-8'
    said = dict(line.split(': ', 1) for line in answer.text.splitlines())
    assert said['Contact'] == 'mailto:security@example.com'
    assert said['Canonical'] == 'https://api.example.com/.well-known/security.txt'
    assert 0 < (datetime.fromisoformat(said['Expires']) - utcnow()).days < 366
    assert anonymous.get('/.well-known/security.txt').status_code == 404
