"""Tests with requests generated from the document: each response must match it.

They do what `schemathesis run` does, with all phases and checks, deterministically. They need a server, because the
checks that omit credentials do not work in process.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis import BaseSchema
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER
from sqlalchemy import select, update

from api.actions.follows import follow_user
from api.actions.likes import like_post
from api.actions.passwords import password_reset_state
from api.actions.posts import create_post
from api.actions.tokens import issue_token
from api.db.session import db
from api.http.export import JSON_LINES
from api.http.pagination.cursors import encode_cursor
from api.models import Token, User
from api.queries.users import get_user
from api.security.mail_tokens import EMAIL_VERIFICATION, PASSWORD_RESET, sign_mail_token
from api.security.scopes import SCOPES
from support.servers import ROOT, Server
from tests.support.client import PASSWORD, Client, basic

UNIQUE, CURSORS = ('username', 'email'), ('after', 'before')
CONFIRMED = {'changePassword': 'old_password', 'deleteUser': 'password'}
MAIL_TOKENS = {'resetPassword': PASSWORD_RESET, 'verifyEmail': EMAIL_VERIFICATION}
# The committed document. Another test compares it with the served one.
DOCUMENT = json.loads((ROOT / 'docs' / 'openapi.json').read_text())
OPERATIONS = sorted(operation['operationId'] for path in DOCUMENT['paths'].values() for operation in path.values())
# Each operation alone.
UNIT = {
    'generation': {'deterministic': True, 'max-examples': 40, 'no-shrink': True},
    'phases': {'stateful': {'enabled': False}},
}
# Sequences of operations.
STATEFUL = {
    'generation': {'deterministic': True, 'max-examples': 20, 'no-shrink': True},
    'phases': {phase: {'enabled': False} for phase in ('examples', 'coverage', 'fuzzing')},
    # The check mistakes a plural for the same resource: after DELETE /posts/1/like it expects no /posts/1/likes.
    'operations': [{'include-operation-id': 'listPostLikers', 'checks': {'use_after_free': {'enabled': False}}}],
}
# Most responses do not depend on the database, so each request is sent to one of them. Single operations run on
# PostgreSQL, which rejects more than SQLite does: NUL, numbers out of range, text that is too long. Sequences of
# operations depend on their order and not on single values, and run on SQLite, which is always available.
on_postgresql = pytest.mark.parametrize('database_url', ['postgresql'], indirect=True, scope='session')
on_sqlite = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')


@pytest.fixture
def world(app: Flask, login: Callable[[str], Client], password_hash: str) -> Iterator['World']:
    """Yield the world of this test, which supplies the schema of the module with credentials and values."""
    world = World(app, login, password_hash)
    with supplying_values(world):
        yield world


@pytest.fixture(scope='module')
def unit_schema(running_server: Server) -> BaseSchema:
    """Return the schema for the tests of single operations, loaded once."""
    return load_schema(running_server, UNIT)


@pytest.fixture
def stateful_schema(server: Server) -> BaseSchema:
    return load_schema(server, STATEFUL)


def load_schema(server: Server, extent: dict[str, Any]) -> BaseSchema:
    url = f'http://127.0.0.1:{server.port}'
    document = server.ask('GET', '/apispec.json').json
    export = document['paths']['/api/me/export']['get']['responses']['200']['content'][JSON_LINES]
    # OpenAPI 3.1 describes each line. schemathesis validates the whole response.
    export['schema'] = {'type': 'array', 'items': export['schema'], 'minItems': 1}
    config = {'base-url': url, 'continue-on-failure': True, **extent}
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(config))


class World:
    """Callers and their objects. Ana gets tokens with her password. Ben, whose name changes, uses one.

    Both have a post. Ben follows ana, likes her post and replies to it. He may update and delete his own post, not
    hers. Requests that end an account or credentials, or that are about personal tokens, are sent by the user whom they
    concern, or otherwise by a new user with a personal token.
    """

    def __init__(self, app: Flask, login: Callable[[str], Client], password_hash: str):
        self.app, self.login, self.password_hash, self.numbers = app, login, password_hash, count()
        self.ana, self.ben = (login(name).id for name in ('ana', 'ben'))
        self.parent_post, self.post = (self.write(user) for user in (self.ana, self.ben))
        with app.app_context():
            like_post(actor=self.ben, id=self.parent_post)
            follow_user(actor=self.ben, id=self.ana)
            db.session.commit()

    def write(self, user_id: int) -> int:
        """Write a post and return its id."""
        with self.app.app_context():
            id: int = create_post(actor=user_id, text='Hello, world!')['id']
            db.session.commit()
        return id

    def id_for(self, case: schemathesis.Case) -> int | None:
        """Return the id of an existing object for the path, or None to send the generated one.

        An update of another user's object returns 403 for every body. For other operations every second request keeps
        the generated id, which mostly does not exist.
        """
        name = name_of(case)
        if name in ('updateUser', 'patchUser'):
            return self.ben
        if name in ('updatePost', 'patchPost'):
            return self.post
        if case.meta.phase.name == TestPhase.STATEFUL or next(self.numbers) % 2:
            return None
        if name == 'deletePost':
            return self.write(self.ben)
        if '/tokens/' in case.path or name == 'deleteUser':
            return None  # the caller's own
        return self.parent_post if '/posts/' in case.path else self.ana

    def caller(self, case: schemathesis.Case) -> int:
        """Return the id of the sender. If the path names no object of a user, change it to one of a new user."""
        name = name_of(case)
        if name in ('changePassword', 'deleteUser') or 'PersonalAccessToken' in name:
            return self.owner(case) or self.new_user(case)
        return self.ben

    def owner(self, case: schemathesis.Case) -> int | None:
        id = str((case.path_parameters or {}).get('id', ''))
        if not (id.isascii() and id.isdigit() and len(id) < 10):
            return None
        users = select(User.id).where(User.id == int(id), User.id.not_in([self.ana, self.ben]))
        tokens = select(Token.user_id).where(Token.id == int(id), Token.seed.is_(None))
        with self.app.app_context():
            return db.session.scalar(users if name_of(case) == 'deleteUser' else tokens)

    def new_user(self, case: schemathesis.Case) -> int:
        client = self.login(f'new_user{next(self.numbers)}')
        wanted = {'name': 'for all', 'scopes': list(SCOPES)}
        token_id = client.post('/api/me/tokens', json=wanted).json['id']
        # In a sequence of requests, ids are those of things that were made before and may be gone.
        if (
            case.path_parameters
            and case.meta.phase.name != TestPhase.STATEFUL
            and not case.meta.is_negative_at(ParameterLocation.PATH)
        ):
            case.path_parameters['id'] = client.id if name_of(case) == 'deleteUser' else token_id
        return client.id

    def token_of(self, user_id: int) -> str:
        """Return a token of this user, and set their password to PASSWORD: generated registrations use others."""
        with self.app.app_context():
            db.session.execute(update(User).where(User.id == user_id).values(password_hash=self.password_hash))
            token = issue_token(actor=user_id).token
            db.session.commit()
        return token

    def mail_token(self, purpose: str) -> str:
        """Return the token of a mail to a new user."""
        user_id = self.login(f'new_user{next(self.numbers)}').id
        with self.app.app_context():
            user = get_user(user_id).first()
            return sign_mail_token(
                purpose, user_id, password_reset_state(user) if purpose == PASSWORD_RESET else user.email
            )

    def held_scopes(self, id: Any, wanted: list[str]) -> list[str]:
        """Return those of these scopes that the token has, or at least one that it has."""
        with self.app.app_context():
            held = (db.session.scalar(select(Token.scopes).where(Token.id == int(id))) or ' '.join(SCOPES)).split()
        return [scope for scope in wanted if scope in held] or held[:1]


def name_of(case: schemathesis.Case) -> str:
    return str(case.operation.definition.raw['operationId'])


@contextmanager
def supplying_credentials(schema: BaseSchema, world: World) -> Iterator[None]:
    """Issue a new token for each request, because some operations revoke it."""

    @schema.auth(refresh_interval=None)
    class Credentials:
        def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
            if context.operation.definition.raw['security'] == [{'basic_auth': []}]:
                return basic('ana', PASSWORD)['Authorization']
            return f'Bearer {world.token_of(world.caller(case))}'

        def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
            case.headers['Authorization'] = data

    yield
    # The schema and all copies that include() returns share this storage.
    schema.auth.unregister()


@contextmanager
def supplying_values(world: World) -> Iterator[None]:
    """Replace values that no schema can describe.

    These are ids that exist, cursors that were issued for the path, names that are free, a post to reply to, another
    user to follow, the password, tokens from mails, scopes that a token has, and valid headers.
    """

    def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        # The web server rejects an invalid value before the application sees the request.
        case.headers.pop('Transfer-Encoding', None)
        if 'id' in (case.path_parameters or {}) and not case.meta.is_negative_at(ParameterLocation.PATH):
            case.path_parameters['id'] = world.id_for(case) or case.path_parameters['id']
        if not case.meta.generation.mode.is_positive:
            return
        if '/following/' in case.path and case.path_parameters['id'] in (world.ben, str(world.ben)):
            case.path_parameters['id'] = world.ana
        with world.app.test_request_context(case.formatted_path):
            case.query |= {name: encode_cursor(next(world.numbers)) for name in CURSORS if case.query.get(name)}
        case.headers.update({name: value for name, value in valid_headers(world).items() if name in case.headers})
        if isinstance(case.body, dict):
            case.body |= valid_fields(world, case)

    schemathesis.hook(before_call)
    yield
    GLOBAL_HOOK_DISPATCHER.unregister(before_call)


@schemathesis.deserializer(JSON_LINES)
def read_lines(context: schemathesis.DeserializationContext, response: schemathesis.Response) -> list[Any]:
    return [json.loads(line) for line in response.content.splitlines()]


def valid_headers(world: World) -> dict[str, str]:
    """Return headers that let a request succeed: any version, an unknown ETag, an unused key, and no dry run, because
    later requests read what this one creates.
    """
    key = f'key-{next(world.numbers)}'
    return {'If-Match': '*', 'If-None-Match': '"another"', 'Idempotency-Key': key, 'Prefer': 'respond-async'}


def valid_fields(world: World, case: schemathesis.Case) -> dict[str, Any]:
    """Return the fields of the body to replace."""
    body, operation = case.body, name_of(case)
    # In other operations these fields are ignored and may have any value.
    names = {field: body[field] for field in UNIQUE if isinstance(body.get(field), str)}
    replaced: dict[str, Any] = {field: unique_name(name, next(world.numbers)) for field, name in names.items()}
    if body.get('reply_to_id'):
        replaced['reply_to_id'] = world.parent_post
    if operation in CONFIRMED:
        replaced[CONFIRMED[operation]] = PASSWORD
    if operation in MAIL_TOKENS:
        replaced['token'] = world.mail_token(MAIL_TOKENS[operation])
    if operation == 'updatePersonalAccessToken' and 'scopes' in body:
        replaced['scopes'] = world.held_scopes(case.path_parameters['id'], body['scopes'])
    return replaced


def unique_name(name: str, number: int) -> str:
    """Return the username or e-mail address with a number at the end of the name, and not longer if it was long."""
    local, at, domain = name.partition('@')
    return f'{local[: max(1, len(local) - 6)]}{number:06}{at}{domain}'


@on_postgresql
@pytest.mark.parametrize('operation_id', OPERATIONS)
def test_each_operation_responds_as_documented(unit_schema: BaseSchema, world: World, operation_id: str) -> None:
    schema = unit_schema.include(operation_id=operation_id)
    (operation,) = schema.get_all_operations()
    assert run(schema, world) == {operation.ok().label}


@on_sqlite
def test_sequences_of_operations_respond_as_documented(stateful_schema: BaseSchema, world: World) -> None:
    assert {operation.ok().definition.raw['operationId'] for operation in stateful_schema.get_all_operations()} == set(
        OPERATIONS
    )
    assert len(run(stateful_schema, world)) > 15


def run(schema: BaseSchema, world: World) -> set[str]:
    """Send all requests and return the labels of the operations that were tested."""
    failures: dict[str, None] = {}
    tested = set()
    with supplying_credentials(schema, world):
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                failures.update(dict.fromkeys(failures_of(event)))
                tested.update(case.value.operation.label for case in event.recorder.cases.values())
            elif isinstance(event, events.NonFatalError | events.FatalError):
                failures[str(event)] = None
    assert not failures, '\n\n'.join(failures)
    return tested


def failures_of(scenario: events.ScenarioFinished) -> Iterator[str]:
    for checks in scenario.recorder.checks.values():
        for check in checks:
            if check.failure_info:
                yield f'{check.failure_info.failure}\n{check.failure_info.code_sample}'
