"""Requests of every kind, made from the document: the server must answer each as the document says.

It is what `schemathesis run` does, all phases and all checks, the same way each time. On a server, because the checks
that leave credentials out do not work in process.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER
from sqlalchemy import select, update

from api.actions.links import RESET, VERIFICATION, sign_link
from api.actions.passwords import reset_state
from api.actions.posts import write_post
from api.actions.tokens import issue_token
from api.actions.users import register_user
from api.edge.export import JSON_LINES
from api.edge.paging import sealed
from api.extensions import db
from api.models import Token, User
from api.queries.users import get_user
from api.scopes import SCOPES
from tests.conftest import PASSWORD, Client, basic
from tests.servers import Server

UNIQUE, POSITIONS = ('username', 'email'), ('after', 'before')
CONFIRMED = {'account_change': 'old_password', 'users_delete': 'password'}
LINKS = {'account_reset': RESET, 'account_verify': VERIFICATION}
# SQLite is asked everything. What an answer looks like does not depend on the database: PostgreSQL gets fewer requests
# and sequences of them, and not those at the bounds of each parameter, most of which never lead to a query.
EVERYTHING = {
    'generation': {'deterministic': True, 'max-examples': 40, 'no-shrink': True},
    'phases': {'stateful': {'generation': {'max-examples': 20}}},
}
LESS = {
    'generation': {'deterministic': True, 'max-examples': 10, 'no-shrink': True},
    'phases': {'coverage': {'enabled': False}, 'stateful': {'generation': {'max-examples': 5}}},
}


@pytest.fixture
def world(app: Flask, login: Callable[[str], Client], password_hash: str) -> 'World':
    return World(app, login, password_hash)


@pytest.fixture
def api(world: 'World', server: Server) -> Iterator[schemathesis.BaseSchema]:
    """The API as schemathesis sees it."""
    with giving_what_no_schema_tells(world):
        url = f'http://127.0.0.1:{server.port}/apispec.json'
        config = configuration(world.ben, world.post, LESS if world.on_postgresql else EVERYTHING)
        api = schemathesis.openapi.from_url(url, config=config)
        give_credentials(api, world)
        yield api


class World:
    """Who calls, and what there is. Ana gets tokens by her password; ben, who changes his name, uses one.

    Both have a post. Ben changes his; ana's, which he cannot delete, is what he answers. What ends something of an
    account, or is about personal tokens, is asked by whom it is about, else by a newcomer who has a personal token.
    """

    def __init__(self, app: Flask, login: Callable[[str], Client], password_hash: str):
        self.app, self.login, self.password_hash, self.numbers = app, login, password_hash, count()
        with app.app_context():
            self.on_postgresql = db.engine.dialect.name == 'postgresql'
            (self.ana, self.answered), (self.ben, self.post) = (with_post(name) for name in ('ana', 'ben'))
            db.session.commit()

    def caller(self, case: schemathesis.Case) -> int:
        """Who sends this request. Where nobody has what it is about, it becomes about what a newcomer has."""
        name = name_of(case)
        if name in ('account_change', 'users_delete') or name.startswith('personal_'):
            return self.owner(case) or self.newcomer(case)
        return self.ben

    def owner(self, case: schemathesis.Case) -> int | None:
        id = str((case.path_parameters or {}).get('id', ''))
        if not (id.isascii() and id.isdigit() and len(id) < 10):
            return None
        users = select(User.id).where(User.id == int(id), User.id.not_in([self.ana, self.ben]))
        tokens = select(Token.user_id).where(Token.id == int(id), Token.seed.is_(None))
        with self.app.app_context():
            return db.session.scalar(users if name_of(case) == 'users_delete' else tokens)

    def newcomer(self, case: schemathesis.Case) -> int:
        client = self.login(f'newcomer{next(self.numbers)}')
        wanted = {'name': 'for all', 'scopes': list(SCOPES)}
        token_id = client.post('/api/me/tokens', json=wanted).json['id']
        # In a sequence of requests, ids are those of things that were made before and may be gone.
        if (
            case.path_parameters
            and case.meta.phase.name != TestPhase.STATEFUL
            and not case.meta.is_negative_at(ParameterLocation.PATH)
        ):
            case.path_parameters['id'] = client.id if name_of(case) == 'users_delete' else token_id
        return client.id

    def token_of(self, user_id: int) -> str:
        """Also has them have the password that all others have: some were registered with another."""
        with self.app.app_context():
            db.session.execute(update(User).where(User.id == user_id).values(password_hash=self.password_hash))
            token = issue_token(actor=user_id).token
            db.session.commit()
        return token

    def link(self, purpose: str) -> str:
        """The token of a mail to somebody."""
        user_id = self.login(f'newcomer{next(self.numbers)}').id
        with self.app.app_context():
            user = get_user(user_id).first()
            return sign_link(purpose, user_id, reset_state(user) if purpose == RESET else user.email)

    def scopes_left(self, id: Any, wanted: list[str]) -> list[str]:
        """Those of them that the token has, or one that it has."""
        with self.app.app_context():
            held = (db.session.scalar(select(Token.scopes).where(Token.id == int(id))) or ' '.join(SCOPES)).split()
        return [scope for scope in wanted if scope in held] or held[:1]


def with_post(name: str) -> tuple[int, int]:
    """A new user's id, and that of their post."""
    user_id = register_user(username=name, email=f'{name}@example.com', password=PASSWORD)
    return user_id, write_post(actor=user_id, text='Hello, world!')['id']


def name_of(case: schemathesis.Case) -> str:
    return str(case.operation.definition.raw['operationId'])


def configuration(user_id: int, post_id: int, extent: dict[str, Any]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            'continue-on-failure': True,
            **extent,
            'operations': [
                # Plurals are the same to that check: after DELETE /posts/1/like, /posts/1/likes should be gone.
                {'include-operation-id': 'posts_likes', 'checks': {'use_after_free': {'enabled': False}}},
                # Another id than one's own is 403, whatever the body.
                *(
                    {'include-operation-id': name, 'parameters': {'path.id': id}}
                    for kind, id in (('users', user_id), ('posts', post_id))
                    for name in (f'{kind}_update', f'{kind}_patch')
                ),
            ],
        }
    )


def give_credentials(api: schemathesis.BaseSchema, world: World) -> None:
    """A token for each request anew, because some of the operations revoke it."""

    @api.auth(refresh_interval=None)
    class Credentials:
        def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
            if context.operation.definition.raw['security'] == [{'basic_auth': []}]:
                return basic('ana', PASSWORD)['Authorization']
            return f'Bearer {world.token_of(world.caller(case))}'

        def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
            case.headers['Authorization'] = data


@contextmanager
def giving_what_no_schema_tells(world: World) -> Iterator[None]:
    """Positions that were given out for the path, names that nobody has, a post to answer that there is, somebody else
    to follow, one's password, tokens from mails, scopes that a token has, and headers that fit: no others are taken.
    """

    def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        # The web server refuses it where it makes no sense, before there is an operation.
        case.headers.pop('Transfer-Encoding', None)
        if not case.meta.generation.mode.is_positive:
            return
        if '/following/' in case.path and case.path_parameters['id'] in (world.ben, str(world.ben)):
            case.path_parameters['id'] = world.ana
        with world.app.test_request_context(case.formatted_path):
            case.query |= {name: sealed(next(world.numbers)) for name in POSITIONS if case.query.get(name)}
        case.headers.update({name: value for name, value in fitting_headers(world).items() if name in case.headers})
        if isinstance(case.body, dict):
            case.body |= better_members(world, case)

    def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
        export = raw_schema['paths']['/api/me/export']['get']['responses']['200']['content'][JSON_LINES]
        # OpenAPI 3.1 means each line by it.
        export['schema'] = {'type': 'array', 'items': export['schema'], 'minItems': 1}

    hooks = before_call, before_load_schema
    for hook in hooks:
        schemathesis.hook(hook)
    yield
    for hook in hooks:
        GLOBAL_HOOK_DISPATCHER.unregister(hook)


@schemathesis.deserializer(JSON_LINES)
def read_lines(context: schemathesis.DeserializationContext, answer: schemathesis.Response) -> list[Any]:
    return [json.loads(line) for line in answer.content.splitlines()]


def fitting_headers(world: World) -> dict[str, str]:
    """A version that is there, one that is not had already, a key that nobody used, and no dry run: what is made is
    asked for afterwards.
    """
    key = f'key-{next(world.numbers)}'
    return {'If-Match': '*', 'If-None-Match': '"another"', 'Idempotency-Key': key, 'Prefer': 'respond-async'}


def better_members(world: World, case: schemathesis.Case) -> dict[str, Any]:
    """Those of the body that are to be others."""
    body, operation = case.body, name_of(case)
    # Elsewhere they are members that are ignored, and may be anything.
    names = {each: body[each] for each in UNIQUE if isinstance(body.get(each), str)}
    better: dict[str, Any] = {each: fresh(name, next(world.numbers)) for each, name in names.items()}
    if body.get('reply_to_id'):
        better['reply_to_id'] = world.answered
    if operation in CONFIRMED:
        better[CONFIRMED[operation]] = PASSWORD
    if operation in LINKS:
        better['token'] = world.link(LINKS[operation])
    if operation == 'personal_patch' and 'scopes' in body:
        better['scopes'] = world.scopes_left(case.path_parameters['id'], body['scopes'])
    return better


def fresh(name: str, number: int) -> str:
    """A username or an e-mail address with a number at the end of the name, not longer than before if long."""
    local, at, domain = name.partition('@')
    return f'{local[: max(1, len(local) - 6)]}{number:06}{at}{domain}'


def test_every_answer_is_what_the_document_says(api: schemathesis.BaseSchema) -> None:
    failures: dict[str, None] = {}
    tested = set()
    for event in from_schema(api).execute():
        if isinstance(event, events.ScenarioFinished):
            failures.update(dict.fromkeys(failures_of(event)))
            tested.update(case.value.operation.label for case in event.recorder.cases.values())
        elif isinstance(event, events.NonFatalError | events.FatalError):
            failures[str(event)] = None
    assert not failures, '\n\n'.join(failures)
    assert tested == {operation.ok().label for operation in api.get_all_operations()}


def failures_of(scenario: events.ScenarioFinished) -> Iterator[str]:
    for checks in scenario.recorder.checks.values():
        for check in checks:
            if check.failure_info:
                yield f'{check.failure_info.failure}\n{check.failure_info.code_sample}'
