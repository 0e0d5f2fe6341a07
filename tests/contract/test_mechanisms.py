"""Tests of HTTP mechanisms: for every operation of the document, every mechanism that it declares.

Which mechanisms apply follows from the parameters, headers and statuses of an operation.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from api.actions.idempotency import purge_idempotency_records
from api.clock import utcnow
from api.db.session import db
from api.jobs.handlers import purge
from api.models import IdempotencyRecord
from api.problems import PROBLEMS
from api.security.keyring import keyring
from config import Settings
from support.databases import dump_rows
from tests.support.client import PASSWORD, Client, basic
from tests.support.world import EXAMPLE_REQUESTS, Caller, ExampleRequest, Operation, World, call

DOCUMENT = json.loads((Path(__file__).parents[2] / 'docs/openapi.json').read_text())
DESCRIBED = {
    operation['operationId']: operation | {'method': method.upper()}
    for path in DOCUMENT['paths'].values()
    for method, operation in path.items()
}
SAME_AS_200 = ('ETag', 'Cache-Control', 'Vary', 'Link', 'Content-Security-Policy', 'API-Contract')
OTHER_ETAG = '"000000000000000000000000-000000000000000000000000"'


def operations_with(parameter: str) -> list[str]:
    """Return the ids of the operations that declare it, by the name of a component or of a query parameter."""
    return [
        id
        for id, operation in DESCRIBED.items()
        if any(
            declared.get('name') == parameter or declared.get('$ref', '').endswith(f'/{parameter}')
            for declared in operation['parameters']
        )
    ]


class Send:
    """Sends the example request of an operation as its owner: `send(headers=..., query=..., body=...)`."""

    def __init__(self, app: Flask, client: Client, operation: Operation, example: ExampleRequest, world: World):
        self.app, self.client, self.operation, self.example, self.world = app, client, operation, example, world

    @property
    def owner(self) -> Caller:
        return self.world.callers[0]

    def __call__(self, method: str | None = None, **others: Any) -> Any:
        operation = self.operation._replace(method=method or self.operation.method)
        return call(self.client, operation, self.example, self.owner, self.world, **others)

    def follow(self, url: str) -> Any:
        """Return the body at a link of a response."""
        return self.client.get(url, headers={'Authorization': f'Bearer {self.owner.token}'}).json

    def get(self, **others: Any) -> Any:
        """Send GET to the same URL."""
        operation = self.operation._replace(method='GET', media_type=None)
        return call(self.client, operation, self.example, self.owner, self.world, **others)


@pytest.fixture
def send(app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Any, id: str) -> Send:
    return Send(app, anonymous, operations[id], EXAMPLE_REQUESTS[id], make_world())


def takes_credentials(id: str) -> bool:
    return bool(DESCRIBED[id]['security'])


def takes_a_token(id: str) -> bool:
    return any('token_auth' in requirement for requirement in DESCRIBED[id]['security'])


def is_collection(id: str) -> bool:
    return 'Link' in DESCRIBED[id]['responses']['200']['headers']


def schema_of(id: str) -> dict[str, Any]:
    """Return the schema of a response, or of the items of a collection."""
    media = DESCRIBED[id]['responses']['200']['content']['application/json']
    schema = resolve(media['schema'])
    return resolve(schema['properties']['items']['items']) if 'items' in schema['properties'] else schema


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT['components']['schemas'][schema['$ref'].rpartition('/')[2]]
    return found


# Conditional requests


@pytest.mark.parametrize('id', operations_with('IfNoneMatch'))
class TestIfNoneMatch:
    def test_unchanged_resource_returns_304_with_headers_of_200(self, send: Send, id: str) -> None:
        full = send()
        tag = full.headers['ETag']
        assert tag.startswith('W/') == is_collection(id)
        for method in ('GET', 'HEAD'):
            for sent in (tag, f'"other", {tag}', tag.removeprefix('W/'), '*'):
                same = send(method, headers={'If-None-Match': sent})
                assert (same.status_code, same.data) == (304, b''), sent
                assert not {'Content-Type', 'Content-Length'} & set(same.headers.keys())
                assert [same.headers.get(name) for name in SAME_AS_200] == [
                    full.headers.get(name) for name in SAME_AS_200
                ]

    def test_changed_resource_returns_200(self, send: Send, id: str) -> None:
        assert send(headers={'If-None-Match': OTHER_ETAG}).status_code == 200


@pytest.mark.parametrize('id', [id for id in operations_with('IfNoneMatch') if takes_a_token(id)])
def test_if_none_match_without_credentials_is_401(send: Send, id: str) -> None:
    anonymous = Caller('anonymous', works=False)
    rejected = call(send.client, send.operation, send.example, anonymous, send.world, headers={'If-None-Match': '*'})
    assert rejected.status_code == 401


def test_etag_is_the_same_for_all_callers(login: Callable[[str], Client]) -> None:
    ana, bea, cid = (login(name) for name in ('ana', 'bea', 'cid'))
    seen = [client.get(f'/api/users/{ana.id}') for client in (ana, bea, cid)]
    assert seen[1].data == seen[2].data != seen[0].data
    assert seen[1].headers['ETag'] == seen[2].headers['ETag'] != seen[0].headers['ETag']
    assert ana.get('/api/me').headers['ETag'] == seen[0].headers['ETag']


@pytest.mark.parametrize('id', operations_with('IfMatch'))
class TestIfMatch:
    def test_current_etag_is_accepted(self, send: Send, id: str) -> None:
        tag = send.get().headers['ETag']
        assert send(headers={'If-Match': f'"other", {tag}'}).status_code == send.example.status

    def test_star_matches_any_version(self, send: Send, id: str) -> None:
        assert send(headers={'If-Match': '*'}).status_code == send.example.status

    @pytest.mark.parametrize('tag', [OTHER_ETAG, 'W/{tag}', 'nonsense', '""'])
    def test_other_etag_returns_412_and_changes_nothing(self, send: Send, id: str, tag: str) -> None:
        tag, before = tag.format(tag=send.get().headers['ETag']), dump_rows(send.app)
        rejected = send(headers={'If-Match': tag})
        assert rejected.status_code == 412
        message = 'the resource has changed since you read it'
        assert rejected.json == {'error': 'Precondition Failed', 'message': message}
        assert dump_rows(send.app) == before

    def test_volatile_fields_do_not_change_the_version(self, send: Send, id: str) -> None:
        tag = send.get().headers['ETag']
        other_user = send.world.callers[1]
        if send.operation.path.startswith('/api/posts'):
            call(
                send.client,
                Operation('PUT', '/api/posts/{id}/like', 'bearer', [], None),
                send.example,
                other_user,
                send.world,
            )
            call(
                send.client,
                Operation('DELETE', '/api/posts/{id}/like', 'bearer', [], None),
                send.example,
                send.owner,
                send.world,
            )
        elif send.operation.path.startswith('/api/users'):
            call(
                send.client,
                Operation('PUT', '/api/me/following/{id}', 'bearer', [], None),
                send.example,
                other_user,
                send.world,
            )
        else:
            send.client.get('/api/tokens', headers={'Authorization': f'Bearer {send.owner.token}'})
        assert send(headers={'If-Match': tag}).status_code == send.example.status

    def test_permission_is_checked_before_the_version(self, send: Send, id: str) -> None:
        other_user = send.world.callers[1]
        rejected = call(
            send.client, send.operation, send.example, other_user, send.world, headers={'If-Match': OTHER_ETAG}
        )
        assert rejected.status_code == send.example.others


@pytest.mark.parametrize('id', [id for id in operations_with('IfMatch') if DESCRIBED[id]['method'] != 'DELETE'])
def test_second_writer_with_old_etag_gets_412(send: Send, id: str) -> None:
    tag = send.get().headers['ETag']
    assert send(headers={'If-Match': tag}).status_code == send.example.status
    assert send(headers={'If-Match': tag}).status_code == 412


@pytest.mark.parametrize('id', [id for id in operations_with('IfMatch') if DESCRIBED[id]['method'] == 'PATCH'])
def test_patch_returns_the_new_etag(send: Send, id: str) -> None:
    changed = send()
    assert changed.headers['ETag'] == send.get().headers['ETag']
    assert changed.json == send.get().json


# Idempotency keys


@pytest.mark.parametrize('id', operations_with('IdempotencyKey'))
class TestIdempotencyKey:
    def test_same_request_is_replayed_and_done_once(self, send: Send, id: str) -> None:
        body = send.example.body and send.example.body(send.world)
        first = send(headers={'Idempotency-Key': 'a-key'}, body=body)
        assert first.status_code == send.example.status
        assert 'Idempotency-Replayed' not in first.headers
        before = dump_rows(send.app)
        replayed = send(headers={'Idempotency-Key': '"a-key"'}, body=body)
        assert (replayed.status_code, replayed.data) == (first.status_code, first.data)
        assert replayed.headers.get('Location') == first.headers.get('Location')
        assert replayed.headers['Idempotency-Replayed'] == 'true'
        assert dump_rows(send.app) == before

    def test_key_with_another_request_returns_422(self, send: Send, id: str) -> None:
        send(headers={'Idempotency-Key': 'a-key'})
        before = dump_rows(send.app)
        assert send(headers={'Idempotency-Key': 'a-key'}, query={'another': 'query'}).status_code == 422
        assert dump_rows(send.app) == before

    def test_failed_request_is_not_stored(self, send: Send, id: str) -> None:
        if send.operation.media_type:
            assert send(headers={'Idempotency-Key': 'a-key'}, body={'text': 5}).status_code == 400
        body = send.example.body and send.example.body(send.world)
        assert send(headers={'Idempotency-Key': 'a-key'}, body=body).status_code == send.example.status

    @pytest.mark.parametrize('key', ['', 'two words', 'x' * 256, 'ä', '"'])
    def test_invalid_key_returns_400(self, send: Send, id: str, key: str) -> None:
        rejected = send(headers={'Idempotency-Key': key})
        assert rejected.status_code == 400
        assert list(rejected.json['errors']) == ['Idempotency-Key']

    def test_key_expires_after_24_hours(self, send: Send, id: str) -> None:
        send(headers={'Idempotency-Key': 'a-key'})
        with send.app.app_context():
            db.session.execute(update(IdempotencyRecord).values(created_at=utcnow() - timedelta(hours=24)))
            db.session.commit()
        later = send(headers={'Idempotency-Key': 'a-key'})
        assert later.status_code == send.example.status
        assert 'Idempotency-Replayed' not in later.headers


@pytest.mark.parametrize('id', [id for id in operations_with('IdempotencyKey') if takes_credentials(id)])
def test_idempotency_keys_are_scoped_to_the_caller(send: Send, id: str) -> None:
    send(headers={'Idempotency-Key': 'a-key'})
    other = send.world.callers[1]
    response = call(send.client, send.operation, send.example, other, send.world, headers={'Idempotency-Key': 'a-key'})
    assert response.status_code == send.example.status
    assert 'Idempotency-Replayed' not in response.headers


# On SQLite the second request waits instead.
@pytest.mark.parametrize('database_url', ['postgresql'], indirect=True, scope='session')
def test_concurrent_request_with_key_returns_409(app: Flask, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    digest = hashlib.sha256(f'{ana.id} posts.create a-key'.encode()).digest()
    with app.app_context():
        engine = db.engine
    with engine.connect() as other:
        other.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], 'big', signed=True))))
        response = ana.post('/api/posts', json={'text': 'hello'}, headers={'Idempotency-Key': 'a-key'})
        assert (response.status_code, response.headers['Retry-After']) == (409, '1')
    assert ana.post('/api/posts', json={'text': 'hello'}, headers={'Idempotency-Key': 'a-key'}).status_code == 201


def test_stored_responses_are_encrypted(app: Flask, anonymous: Client, make_user: Any) -> None:
    make_user('ana')
    response = anonymous.post('/api/tokens', headers=basic_and_key('ana'))
    with app.app_context():
        encrypted = db.session.scalars(select(IdempotencyRecord.encrypted_response)).one()
    assert response.json['token'].encode() not in encrypted
    assert b'expires_at' not in encrypted
    assert 'another-key' not in dump_rows(app)


def test_replay_works_with_a_fallback_key(anonymous: Client, make_user: Any, settings: Settings) -> None:
    make_user('ana')
    first = anonymous.post('/api/tokens', headers=basic_and_key('ana'))
    try:
        keyring.load('another secret', (settings.secret_key,))
        assert anonymous.post('/api/tokens', headers=basic_and_key('ana')).json == first.json
        keyring.load('another secret')
        assert anonymous.post('/api/tokens', headers=basic_and_key('ana')).status_code == 422
    finally:
        keyring.load(settings.secret_key)


def basic_and_key(username: str) -> dict[str, str]:
    return basic(username, PASSWORD) | {'Idempotency-Key': 'another-key'}


def test_expired_records_are_purged(app: Flask, login: Callable[[str], Client]) -> None:
    ana = login('ana')
    for number in range(3):
        ana.post('/api/posts', json={'text': 'hello'}, headers={'Idempotency-Key': f'key-{number}'})
    with app.app_context():
        assert purge_idempotency_records() == 0
        old = update(IdempotencyRecord).where(
            IdempotencyRecord.id != db.session.scalars(select(IdempotencyRecord.id)).first()
        )
        db.session.execute(old.values(created_at=utcnow() - timedelta(hours=24)))
        db.session.commit()
        assert purge_idempotency_records() == 2
        db.session.rollback()
        purge()
        assert db.session.scalar(select(func.count(IdempotencyRecord.id))) == 1


# Dry runs


@pytest.mark.parametrize('id', operations_with('Prefer'))
class TestDryRun:
    def test_dry_run_has_the_same_response_and_changes_nothing(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        tried = send(headers={'Prefer': 'dry-run', 'Idempotency-Key': 'a-key'})
        assert tried.status_code == send.example.status
        assert tried.headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before
        done = send()
        assert 'Preference-Applied' not in done.headers
        assert shape_of(done) == shape_of(tried)

    def test_dry_run_checks_credentials(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        anonymous = Caller('anonymous', works=False)
        rejected = call(send.client, send.operation, send.example, anonymous, send.world, headers={'Prefer': 'dry-run'})
        assert rejected.status_code == (send.example.status if send.operation.needs == 'nothing' else 401)
        assert rejected.headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before

    @pytest.mark.parametrize('preference', ['wait=10, dry-run', 'DRY-RUN; x=1, respond-async'])
    def test_dry_run_among_other_preferences(self, send: Send, id: str, preference: str) -> None:
        before = dump_rows(send.app)
        assert send(headers={'Prefer': preference}).headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before


def shape_of(response: Any) -> Any:
    return sorted(response.json) if response.data else None


def test_taken_username_is_rejected_in_dry_run(anonymous: Client, make_user: Any) -> None:
    make_user('ana')
    taken = {'username': 'ANA', 'email': 'other@example.com', 'password': 'correct horse battery'}
    rejected = anonymous.post('/api/users', json=taken, headers={'Prefer': 'dry-run'})
    assert (rejected.status_code, rejected.json['message']) == (400, 'please use a different username')


def test_similar_preferences_are_not_dry_run(login: Callable[[str], Client]) -> None:
    ana = login('ana')
    response = ana.post('/api/posts', json={'text': 'hello'}, headers={'Prefer': 'no-dry-run'})
    assert 'Preference-Applied' not in response.headers
    assert ana.get('/api/me').json['post_count'] == 1


# Sparse fieldsets


@pytest.mark.parametrize('id', operations_with('fields'))
class TestFields:
    def test_each_field_can_be_selected(self, send: Send, id: str) -> None:
        full = shown(send())
        for field in schema_of(id)['properties']:
            response = send(query={'fields': field})
            assert shown(response) == [{name: value for name, value in item.items() if name == field} for item in full]

    def test_selected_fields_keep_their_order(self, send: Send, id: str) -> None:
        selected = list(schema_of(id)['properties'])[:3]
        response = send(query={'fields': ','.join(reversed(selected))})
        assert [list(item) for item in shown(response)] == [
            [name for name in item if name in selected] for item in shown(send())
        ]

    @pytest.mark.parametrize('fields', ['nothing', 'id,nothing', '', 'id,', 'ID', 'password_hash', 'items', '{0},{0}'])
    def test_unknown_or_repeated_field_returns_400(self, send: Send, id: str, fields: str) -> None:
        field = next(iter(schema_of(id)['properties']))
        rejected = send(query={'fields': fields.format(field)})
        assert (rejected.status_code, list(rejected.json['errors'])) == (400, ['fields'])

    def test_head_accepts_fields(self, send: Send, id: str) -> None:
        field = next(iter(schema_of(id)['properties']))
        assert send('HEAD', query={'fields': field}).status_code == 200

    def test_sparse_response_has_its_own_etag(self, send: Send, id: str) -> None:
        field = next(iter(schema_of(id)['properties']))
        sparse = send(query={'fields': field})
        assert send(query={'fields': field}, headers={'If-None-Match': sparse.headers['ETag']}).status_code == 304


def shown(response: Any) -> list[dict[str, Any]]:
    """Return the resource in a list, or the items of a collection."""
    assert response.status_code == 200, response.text
    body = response.json
    items: list[dict[str, Any]] = body.get('items', [body])
    return items


def test_only_selected_columns_are_read(login: Callable[[str], Client], count_queries: Any) -> None:
    ana = login('ana')
    for url in (f'/api/users/{ana.id}', '/api/users'):
        with count_queries() as statements:
            ana.get(f'{url}?fields=id,username')
        columns = statements[-1].split(' FROM ')[0]
        assert 'username' in columns
        assert 'email' not in columns
        assert 'about_me' not in columns


def test_hidden_fields_cannot_be_selected(login: Callable[[str], Client]) -> None:
    ana, bea = login('ana'), login('bea')
    assert bea.get(f'/api/users/{bea.id}?fields=email').json == {'email': 'bea@example.com'}
    response = bea.get(f'/api/users/{ana.id}?fields=email')
    assert (response.status_code, response.json) == (200, {})
    assert bea.get('/api/users/0?fields=email').status_code == 404


def test_links_keep_selected_fields(login: Callable[[str], Client]) -> None:
    ana = login('ana')
    login('bea')
    page = ana.get('/api/users?per_page=1&fields=id,username').json
    assert page['_links']['next'] == '/api/users?fields=id,username&page=2&per_page=1'
    assert list(ana.get(page['_links']['next']).json['items'][0]) == ['id', 'username']


def test_repeated_fields_parameter_is_joined(login: Callable[[str], Client]) -> None:
    assert list(login('ana').get('/api/me?fields=username&fields=id').json) == ['id', 'username']


def test_writes_ignore_fields(login: Callable[[str], Client]) -> None:
    assert login('ana').post('/api/posts?fields=nothing', json={'text': 'hello'}).status_code == 201


# Links


@pytest.mark.parametrize('id', [id for id in operations_with('IfNoneMatch') if is_collection(id)])
class TestLink:
    def test_link_header_mirrors_the_links(self, send: Send, id: str) -> None:
        for query in ({}, {'per_page': 1}, {'after': ''}, {'before': ''}):
            response = send(query=query)
            links = links_of(response)
            mirrored = {
                relation: url for relation, url in response.json['_links'].items() if url and relation != 'self'
            }
            assert {relation: url for relation, url in links.items() if relation in ('prev', 'next')} == mirrored
            assert set(links) >= {'first', 'last'}

    def test_first_and_last_lead_to_the_ends(self, send: Send, id: str) -> None:
        links = links_of(send(query={'per_page': 1}))
        every = send(query={'per_page': 100}).json['items']
        assert send.follow(links['first'])['items'] == every[:1]
        assert send.follow(links['last'])['items'] == every[-1:]


def links_of(response: Any) -> dict[str, str]:
    pairs = [link.split('; rel=') for link in response.headers['Link'].split(', ')]
    return {relation.strip('"'): url.strip('<>') for url, relation in pairs}


# Media types and methods


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
class TestNegotiation:
    def test_unacceptable_media_type_returns_406(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        response = send(headers={'Accept': 'image/png', 'Prefer': 'dry-run'})
        assert response.status_code == (406 if '406' in DESCRIBED[id]['responses'] else send.example.status)
        assert dump_rows(send.app) == before or send.operation.method == 'GET'

    @pytest.mark.parametrize('accept', ['application/json', 'image/png, */*;q=0.1', 'application/problem+json'])
    def test_acceptable_media_type_succeeds(self, send: Send, id: str, accept: str) -> None:
        if send.example.status == 200 and 'export' in id and accept != 'image/png, */*;q=0.1':
            accept = 'application/jsonl'
        assert send(headers={'Accept': accept}).status_code == send.example.status

    def test_options_lists_the_methods(self, send: Send, id: str) -> None:
        response = send('OPTIONS')
        methods = set(response.headers['Allow'].split(', '))
        assert {send.operation.method, 'OPTIONS'} <= methods
        assert ('Accept-Patch' in response.headers) == ('PATCH' in methods)
        if 'PATCH' in methods:
            assert response.headers['Accept-Patch'] == 'application/merge-patch+json'


def test_every_put_has_a_patch() -> None:
    replaceable = [path for path in DOCUMENT['paths'].values() if {'put', 'get'} <= path.keys()]
    patches = [path['patch'] for path in replaceable if '200' in path['get']['responses']]
    assert {patch['operationId'] for patch in patches} == {'patchUser', 'patchPost'}
    for patch in patches:
        assert patch['requestBody']['content'].keys() == {'application/merge-patch+json'}


# Problem types


def test_every_problem_can_occur() -> None:
    declared = {url for operation in DESCRIBED.values() for url in operation['x-problems']}
    assert declared | {'/problems/range-not-satisfiable'} == {problem.url for problem in PROBLEMS.values()}


@pytest.mark.parametrize('name', PROBLEMS)
def test_every_problem_has_html_and_json(anonymous: Client, name: str) -> None:
    problem = PROBLEMS[name]
    response = anonymous.get(problem.url)
    assert response.json == {
        'name': name,
        'status': problem.status,
        'cause': problem.cause,
        'remedy': problem.remedy,
        '_links': {'self': problem.url},
    }
    page = anonymous.get(problem.url, headers={'Accept': 'text/html'})
    assert page.mimetype == 'text/html'
    assert f'<a href="{problem.url}">{name}</a>' in page.text
    assert '`' not in page.text


def test_problem_catalogue_is_complete(anonymous: Client) -> None:
    assert [item['name'] for item in anonymous.get('/problems').json['items']] == list(PROBLEMS)
    assert anonymous.get('/problems', headers={'Accept': 'text/html'}).text.count('<section') == len(PROBLEMS)
    assert anonymous.get('/problems/nothing').status_code == 404
