"""Who may do what: every operation of the document, called by everyone who might call it.

The document says what an operation needs, and who has that is known; so is what everyone is to be answered.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.db.session import db
from api.models import Token, User
from api.security.scopes import SCOPES
from tests.support.client import Client
from tests.support.world import EXAMPLE_REQUESTS, Caller, ExampleRequest, Operation, World, all_rows, call

UNAUTHORIZED = {'error': 'Unauthorized'}
BASIC = 'Basic realm="Authentication Required"'
BEARER = 'Bearer realm="Authentication Required"'
INVALID_TOKEN = f'{BEARER}, error="invalid_token"'
OUTSIDE_OF_THE_DOCUMENT = {'changelog', 'docs', 'mail_pages', 'problems', 'well_known'}


def expected_status(operation: Operation, known: ExampleRequest, caller: Caller) -> int:
    """What the document makes of it."""
    if operation.needs == 'nothing':
        return known.status
    if not caller.works or (operation.needs == 'basic' and not caller.has_password):
        return 401
    if operation.needs == 'bearer' and not caller.scopes.issuperset(operation.scopes):
        return 403
    if known.others and caller.whose != 'owner':
        return known.others
    return known.status


def methods_of(operation: Operation) -> list[str]:
    """Every GET is a HEAD, too."""
    return [operation.method, 'HEAD'] if operation.method == 'GET' else [operation.method]


def challenge_to(operation: Operation, known: ExampleRequest, caller: Caller) -> str | None:
    """The header that comes with what is expected."""
    status = expected_status(operation, known, caller)
    if status == 401 and operation.needs == 'basic':
        return BASIC
    if status == 401:
        return INVALID_TOKEN if caller.token else BEARER
    if status == 403 and not caller.scopes.issuperset(operation.scopes):
        return f'Bearer error="insufficient_scope", scope="{operation.scopes[0]}"'
    return None


def rows_of(app: Flask, user_id: int) -> list[Any]:
    """A user's entry and tokens, without the counters that others move."""
    with app.app_context():
        own = (User.username, User.email, User.email_verified, User.password_hash, User.credentials_version)
        user = db.session.execute(select(*own, User.disabled_at, User.about_me).where(User.id == user_id)).all()
        token = (Token.id, Token.digest, Token.name, Token.scopes, Token.expires_at)
        tokens = db.session.execute(select(*token).where(Token.user_id == user_id).order_by(Token.id)).all()
    return [*user, *tokens]


def test_every_operation_has_an_example_request(operations: dict[str, Operation]) -> None:
    assert set(EXAMPLE_REQUESTS) == set(operations)


def test_every_operation_needs_one_known_scope(operations: dict[str, Operation]) -> None:
    needed = [operation.scopes for operation in operations.values() if operation.scopes]
    assert {scope for scopes in needed for scope in scopes} == set(SCOPES)
    assert {len(scopes) for scopes in needed} == {1}


def test_only_token_operations_need_no_scope(operations: dict[str, Operation]) -> None:
    without = {id for id, operation in operations.items() if operation.needs == 'bearer' and not operation.scopes}
    assert without == {'getCurrentToken', 'revokeCurrentToken'}


def test_every_route_is_documented(migrated_app: Flask, operations: dict[str, Operation]) -> None:
    documented = {(operation.method, operation.path) for operation in operations.values()}
    undocumented = {
        rule.endpoint
        for rule in migrated_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {'HEAD', 'OPTIONS'}
        if (method, re.sub(r'<(?:[^:>]+:)?([^>]+)>', r'{\1}', rule.rule)) not in documented
    }
    assert {endpoint.partition('.')[0] for endpoint in undocumented} == OUTSIDE_OF_THE_DOCUMENT


def test_matrix_contains_every_caller(make_world: Callable[[], World]) -> None:
    callers = make_world().callers
    assert len(callers) == len({caller.name for caller in callers}) == 13 + 2 * len(SCOPES)


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
def test_forbidden_callers_change_nothing(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, known, world = operations[id], EXAMPLE_REQUESTS[id], make_world()
    before = all_rows(app)
    for caller in world.callers:
        status = expected_status(operation, known, caller)
        for method in methods_of(operation) if status != known.status else ():
            response = call(anonymous, operation._replace(method=method), known, caller, world)
            assert response.status_code == status, (method, caller.name)
            assert response.headers.get('WWW-Authenticate') == challenge_to(operation, known, caller), caller.name
            if status == 401 and method != 'HEAD':
                assert response.json == UNAUTHORIZED
    assert all_rows(app) == before


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
def test_permitted_callers_change_only_their_own(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, known, world = operations[id], EXAMPLE_REQUESTS[id], make_world()
    succeeded = set()
    for number in range(len(world.callers)):
        caller = world.callers[number]
        if expected_status(operation, known, caller) != known.status or is_one_too_many(operation, caller):
            continue
        bystanders = [world.users[user] for user in ('owner', 'other', 'third') if user != caller.whose]
        before = [rows_of(app, bystander) for bystander in bystanders]
        for method in methods_of(operation):
            response = call(anonymous, operation._replace(method=method), known, caller, world)
            assert response.status_code == known.status, (method, caller.name, response.text)
            assert 'WWW-Authenticate' not in response.headers
        if operation.needs != 'nothing':
            assert [rows_of(app, bystander) for bystander in bystanders] == before, caller.name
        succeeded.add(caller.name)
        if operation.method != 'GET':
            world = make_world()
    assert succeeded.issuperset(who_succeeds_at_least(operation, known))


def is_one_too_many(operation: Operation, caller: Caller) -> bool:
    """Several scopes are as good as the one; and where nobody looks at tokens, one with few is enough."""
    if operation.needs == 'nothing':
        return len(caller.scopes) < len(SCOPES) and 'users:read alone' not in caller.name
    return 'but' in caller.name


def who_succeeds_at_least(operation: Operation, known: ExampleRequest) -> set[str]:
    alone = {f'a token with {scope} alone' for scope in operation.scopes}
    return {'the owner', *alone} | ({'another user'} if not known.others else set())
