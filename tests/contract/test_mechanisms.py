"""How HTTP is spoken: every operation of the document, with every mechanism that it declares.

Which ones apply follows from the document: from the parameters, headers and statuses of an operation.
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
ELSE = '"000000000000000000000000-000000000000000000000000"'


def taking(parameter: str) -> list[str]:
    """The operations that declare it: by the name of a component, or of a parameter of the query."""
    return [
        id
        for id, operation in DESCRIBED.items()
        if any(
            each.get('name') == parameter or each.get('$ref', '').endswith(f'/{parameter}')
            for each in operation['parameters']
        )
    ]


class Send:
    """`send(headers=..., query=..., body=...)`: the request of an operation that is known to succeed, by its owner."""

    def __init__(self, app: Flask, client: Client, operation: Operation, known: ExampleRequest, world: World):
        self.app, self.client, self.operation, self.known, self.world = app, client, operation, known, world

    @property
    def owner(self) -> Caller:
        return self.world.callers[0]

    def __call__(self, method: str | None = None, **others: Any) -> Any:
        operation = self.operation._replace(method=method or self.operation.method)
        return call(self.client, operation, self.known, self.owner, self.world, **others)

    def follow(self, url: str) -> Any:
        """What is at a link of an answer."""
        return self.client.get(url, headers={'Authorization': f'Bearer {self.owner.token}'}).json

    def get(self, **others: Any) -> Any:
        """GET at the same URL."""
        operation = self.operation._replace(method='GET', media_type=None)
        return call(self.client, operation, self.known, self.owner, self.world, **others)


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
    """The schema of an answer, or of the items of a collection."""
    media = DESCRIBED[id]['responses']['200']['content']['application/json']
    schema = resolve(media['schema'])
    return resolve(schema['properties']['items']['items']) if 'items' in schema['properties'] else schema


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT['components']['schemas'][schema['$ref'].rpartition('/')[2]]
    return found


# Conditional requests


@pytest.mark.parametrize('id', taking('IfNoneMatch'))
class TestIfNoneMatch:
    def test_what_is_unchanged_is_304_with_the_headers_of_the_200(self, send: Send, id: str) -> None:
        whole = send()
        tag = whole.headers['ETag']
        assert tag.startswith('W/') == is_collection(id)
        for method in ('GET', 'HEAD'):
            for sent in (tag, f'"other", {tag}', tag.removeprefix('W/'), '*'):
                same = send(method, headers={'If-None-Match': sent})
                assert (same.status_code, same.data) == (304, b''), sent
                assert not {'Content-Type', 'Content-Length'} & set(same.headers.keys())
                assert [same.headers.get(name) for name in SAME_AS_200] == [
                    whole.headers.get(name) for name in SAME_AS_200
                ]

    def test_what_is_not_is_200(self, send: Send, id: str) -> None:
        assert send(headers={'If-None-Match': ELSE}).status_code == 200


@pytest.mark.parametrize('id', [id for id in taking('IfNoneMatch') if takes_a_token(id)])
def test_if_none_match_without_credentials_is_401(send: Send, id: str) -> None:
    stranger = Caller('nobody', works=False)
    refused = call(send.client, send.operation, send.known, stranger, send.world, headers={'If-None-Match': '*'})
    assert refused.status_code == 401


def test_etag_is_the_same_for_all_callers(login: Callable[[str], Client]) -> None:
    ana, bea, cid = (login(name) for name in ('ana', 'bea', 'cid'))
    seen = [client.get(f'/api/users/{ana.id}') for client in (ana, bea, cid)]
    assert seen[1].data == seen[2].data != seen[0].data
    assert seen[1].headers['ETag'] == seen[2].headers['ETag'] != seen[0].headers['ETag']
    assert ana.get('/api/me').headers['ETag'] == seen[0].headers['ETag']


@pytest.mark.parametrize('id', taking('IfMatch'))
class TestIfMatch:
    def test_it_is_done_where_nothing_has_changed(self, send: Send, id: str) -> None:
        tag = send.get().headers['ETag']
        assert send(headers={'If-Match': f'"other", {tag}'}).status_code == send.known.status

    def test_any_version_will_do_for_a_star(self, send: Send, id: str) -> None:
        assert send(headers={'If-Match': '*'}).status_code == send.known.status

    @pytest.mark.parametrize('tag', [ELSE, 'W/{tag}', 'nonsense', '""'])
    def test_it_is_412_and_nothing_changes_where_it_was_different(self, send: Send, id: str, tag: str) -> None:
        tag, before = tag.format(tag=send.get().headers['ETag']), dump_rows(send.app)
        refused = send(headers={'If-Match': tag})
        assert refused.status_code == 412
        assert refused.json == {'error': 'Precondition Failed', 'message': 'the resource has changed since you read it'}
        assert dump_rows(send.app) == before

    def test_what_it_shows_beside_what_its_owner_changes_does_not_count(self, send: Send, id: str) -> None:
        tag = send.get().headers['ETag']
        stranger = send.world.callers[1]
        if id.startswith('posts'):
            call(
                send.client,
                Operation('PUT', '/api/posts/{id}/like', 'bearer', [], None),
                send.known,
                stranger,
                send.world,
            )
            call(
                send.client,
                Operation('DELETE', '/api/posts/{id}/like', 'bearer', [], None),
                send.known,
                send.owner,
                send.world,
            )
        elif id.startswith('users'):
            call(
                send.client,
                Operation('PUT', '/api/me/following/{id}', 'bearer', [], None),
                send.known,
                stranger,
                send.world,
            )
        else:
            send.client.get('/api/tokens', headers={'Authorization': f'Bearer {send.owner.token}'})
        assert send(headers={'If-Match': tag}).status_code == send.known.status

    def test_whoever_may_not_is_refused_for_that(self, send: Send, id: str) -> None:
        stranger = send.world.callers[1]
        refused = call(send.client, send.operation, send.known, stranger, send.world, headers={'If-Match': ELSE})
        assert refused.status_code == send.known.others


@pytest.mark.parametrize('id', [id for id in taking('IfMatch') if DESCRIBED[id]['method'] != 'DELETE'])
def test_second_writer_with_old_etag_gets_412(send: Send, id: str) -> None:
    tag = send.get().headers['ETag']
    assert send(headers={'If-Match': tag}).status_code == send.known.status
    assert send(headers={'If-Match': tag}).status_code == 412


@pytest.mark.parametrize('id', [id for id in taking('IfMatch') if DESCRIBED[id]['method'] == 'PATCH'])
def test_patch_returns_the_new_etag(send: Send, id: str) -> None:
    changed = send()
    assert changed.headers['ETag'] == send.get().headers['ETag']
    assert changed.json == send.get().json


# Idempotency keys


@pytest.mark.parametrize('id', taking('IdempotencyKey'))
class TestIdempotencyKey:
    def test_the_same_request_is_answered_again_and_done_once(self, send: Send, id: str) -> None:
        body = send.known.body and send.known.body(send.world)
        first = send(headers={'Idempotency-Key': 'a-key'}, body=body)
        assert first.status_code == send.known.status
        assert 'Idempotency-Replayed' not in first.headers
        before = dump_rows(send.app)
        again = send(headers={'Idempotency-Key': '"a-key"'}, body=body)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers.get('Location') == first.headers.get('Location')
        assert again.headers['Idempotency-Replayed'] == 'true'
        assert dump_rows(send.app) == before

    def test_another_request_with_the_key_is_422(self, send: Send, id: str) -> None:
        send(headers={'Idempotency-Key': 'a-key'})
        before = dump_rows(send.app)
        assert send(headers={'Idempotency-Key': 'a-key'}, query={'another': 'query'}).status_code == 422
        assert dump_rows(send.app) == before

    def test_what_fails_is_not_kept(self, send: Send, id: str) -> None:
        if send.operation.media_type:
            assert send(headers={'Idempotency-Key': 'a-key'}, body={'text': 5}).status_code == 400
        body = send.known.body and send.known.body(send.world)
        assert send(headers={'Idempotency-Key': 'a-key'}, body=body).status_code == send.known.status

    @pytest.mark.parametrize('key', ['', 'two words', 'x' * 256, 'ä', '"'])
    def test_what_is_no_key_is_400(self, send: Send, id: str, key: str) -> None:
        refused = send(headers={'Idempotency-Key': key})
        assert refused.status_code == 400
        assert list(refused.json['errors']) == ['Idempotency-Key']

    def test_after_a_day_it_is_forgotten(self, send: Send, id: str) -> None:
        send(headers={'Idempotency-Key': 'a-key'})
        with send.app.app_context():
            db.session.execute(update(IdempotencyRecord).values(created_at=utcnow() - timedelta(hours=24)))
            db.session.commit()
        later = send(headers={'Idempotency-Key': 'a-key'})
        assert later.status_code == send.known.status
        assert 'Idempotency-Replayed' not in later.headers


@pytest.mark.parametrize('id', [id for id in taking('IdempotencyKey') if takes_credentials(id)])
def test_an_idempotency_key_is_the_caller_s_own(send: Send, id: str) -> None:
    send(headers={'Idempotency-Key': 'a-key'})
    other = send.world.callers[1]
    response = call(send.client, send.operation, send.known, other, send.world, headers={'Idempotency-Key': 'a-key'})
    assert response.status_code == send.known.status
    assert 'Idempotency-Replayed' not in response.headers


# SQLite makes the second request wait instead.
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
        sealed = db.session.scalars(select(IdempotencyRecord.encrypted_response)).one()
    assert response.json['token'].encode() not in sealed
    assert b'expires_at' not in sealed
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


@pytest.mark.parametrize('id', taking('Prefer'))
class TestDryRun:
    def test_it_is_answered_as_if_and_nothing_is_changed(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        tried = send(headers={'Prefer': 'dry-run', 'Idempotency-Key': 'a-key'})
        assert tried.status_code == send.known.status
        assert tried.headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before
        done = send()
        assert 'Preference-Applied' not in done.headers
        assert shape_of(done) == shape_of(tried)

    def test_who_may_not_is_told_so(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        nobody = Caller('nobody', works=False)
        refused = call(send.client, send.operation, send.known, nobody, send.world, headers={'Prefer': 'dry-run'})
        assert refused.status_code == (send.known.status if send.operation.needs == 'nothing' else 401)
        assert refused.headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before

    @pytest.mark.parametrize('preference', ['wait=10, dry-run', 'DRY-RUN; x=1, respond-async'])
    def test_among_other_preferences_it_is_found(self, send: Send, id: str, preference: str) -> None:
        before = dump_rows(send.app)
        assert send(headers={'Prefer': preference}).headers['Preference-Applied'] == 'dry-run'
        assert dump_rows(send.app) == before


def shape_of(response: Any) -> Any:
    return sorted(response.json) if response.data else None


def test_taken_username_is_rejected_in_dry_run(anonymous: Client, make_user: Any) -> None:
    make_user('ana')
    taken = {'username': 'ANA', 'email': 'other@example.com', 'password': 'correct horse battery'}
    refused = anonymous.post('/api/users', json=taken, headers={'Prefer': 'dry-run'})
    assert (refused.status_code, refused.json['message']) == (400, 'please use a different username')


def test_similar_preferences_are_not_dry_run(login: Callable[[str], Client]) -> None:
    ana = login('ana')
    response = ana.post('/api/posts', json={'text': 'hello'}, headers={'Prefer': 'no-dry-run'})
    assert 'Preference-Applied' not in response.headers
    assert ana.get('/api/me').json['post_count'] == 1


# Sparse answers


@pytest.mark.parametrize('id', taking('fields'))
class TestFields:
    def test_each_member_can_be_had_alone(self, send: Send, id: str) -> None:
        whole = shown(send())
        for member in schema_of(id)['properties']:
            response = send(query={'fields': member})
            assert shown(response) == [
                {name: value for name, value in item.items() if name == member} for item in whole
            ]

    def test_several_come_in_the_order_of_the_whole(self, send: Send, id: str) -> None:
        members = list(schema_of(id)['properties'])[:3]
        response = send(query={'fields': ','.join(reversed(members))})
        assert [list(item) for item in shown(response)] == [
            [name for name in item if name in members] for item in shown(send())
        ]

    @pytest.mark.parametrize('fields', ['nothing', 'id,nothing', '', 'id,', 'ID', 'password_hash', 'items', '{0},{0}'])
    def test_what_is_no_member_is_400(self, send: Send, id: str, fields: str) -> None:
        member = next(iter(schema_of(id)['properties']))
        refused = send(query={'fields': fields.format(member)})
        assert (refused.status_code, list(refused.json['errors'])) == (400, ['fields'])

    def test_head_knows_it(self, send: Send, id: str) -> None:
        member = next(iter(schema_of(id)['properties']))
        assert send('HEAD', query={'fields': member}).status_code == 200

    def test_a_sparse_answer_has_a_tag_of_its_own(self, send: Send, id: str) -> None:
        member = next(iter(schema_of(id)['properties']))
        sparse = send(query={'fields': member})
        assert send(query={'fields': member}, headers={'If-None-Match': sparse.headers['ETag']}).status_code == 304


def shown(response: Any) -> list[dict[str, Any]]:
    """The item, or the items of a collection."""
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


@pytest.mark.parametrize('id', [id for id in taking('IfNoneMatch') if is_collection(id)])
class TestLink:
    def test_the_header_mirrors_the_links(self, send: Send, id: str) -> None:
        for query in ({}, {'per_page': 1}, {'after': ''}, {'before': ''}):
            response = send(query=query)
            links = links_of(response)
            mirrored = {
                relation: url for relation, url in response.json['_links'].items() if url and relation != 'self'
            }
            assert {relation: url for relation, url in links.items() if relation in ('prev', 'next')} == mirrored
            assert set(links) >= {'first', 'last'}

    def test_first_and_last_are_the_ends(self, send: Send, id: str) -> None:
        links = links_of(send(query={'per_page': 1}))
        every = send(query={'per_page': 100}).json['items']
        assert send.follow(links['first'])['items'] == every[:1]
        assert send.follow(links['last'])['items'] == every[-1:]


def links_of(response: Any) -> dict[str, str]:
    pairs = [link.split('; rel=') for link in response.headers['Link'].split(', ')]
    return {relation.strip('"'): url.strip('<>') for url, relation in pairs}


# Forms and methods


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
class TestForms:
    def test_where_nothing_fits_it_is_406_and_nothing_is_changed(self, send: Send, id: str) -> None:
        before = dump_rows(send.app)
        response = send(headers={'Accept': 'image/png', 'Prefer': 'dry-run'})
        assert response.status_code == (406 if '406' in DESCRIBED[id]['responses'] else send.known.status)
        assert dump_rows(send.app) == before or send.operation.method == 'GET'

    @pytest.mark.parametrize('accept', ['application/json', 'image/png, */*;q=0.1', 'application/problem+json'])
    def test_where_something_fits_it_is_given(self, send: Send, id: str, accept: str) -> None:
        if send.known.status == 200 and 'export' in id and accept != 'image/png, */*;q=0.1':
            accept = 'application/jsonl'
        assert send(headers={'Accept': accept}).status_code == send.known.status

    def test_options_tells_the_methods(self, send: Send, id: str) -> None:
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


# Kinds of failure


def test_every_problem_can_occur() -> None:
    declared = {kind for operation in DESCRIBED.values() for kind in operation['x-problems']}
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
    assert [each['name'] for each in anonymous.get('/problems').json['items']] == list(PROBLEMS)
    assert anonymous.get('/problems', headers={'Accept': 'text/html'}).text.count('<section') == len(PROBLEMS)
    assert anonymous.get('/problems/nothing').status_code == 404
