"""Tests of permissions: every operation of the document, sent by every kind of caller.

The document says which credentials an operation requires. The expected status for each caller follows from it.
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
UNDOCUMENTED_BLUEPRINTS = {'changelog', 'docs', 'mail_pages', 'problems', 'well_known'}


def expected_status(operation: Operation, example: ExampleRequest, caller: Caller) -> int:
    """Return the status that the document implies for this caller."""
    if operation.needs == 'nothing':
        return example.status
    if not caller.works or (operation.needs == 'basic' and not caller.has_password):
        return 401
    if operation.needs == 'bearer' and not caller.scopes.issuperset(operation.scopes):
        return 403
    if example.others and caller.whose != 'owner':
        return example.others
    return example.status


def methods_of(operation: Operation) -> list[str]:
    """Return the methods of the operation. Every GET allows HEAD too."""
    return [operation.method, 'HEAD'] if operation.method == 'GET' else [operation.method]


def challenge_for(operation: Operation, example: ExampleRequest, caller: Caller) -> str | None:
    """Return the expected `WWW-Authenticate` header, or None."""
    status = expected_status(operation, example, caller)
    if status == 401 and operation.needs == 'basic':
        return BASIC
    if status == 401:
        return INVALID_TOKEN if caller.token else BEARER
    if status == 403 and not caller.scopes.issuperset(operation.scopes):
        return f'Bearer error="insufficient_scope", scope="{operation.scopes[0]}"'
    return None


def rows_of(app: Flask, user_id: int) -> list[Any]:
    """Return the user and tokens of a user, without the counters that other users change."""
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
    assert {endpoint.partition('.')[0] for endpoint in undocumented} == UNDOCUMENTED_BLUEPRINTS


def test_matrix_contains_every_caller(make_world: Callable[[], World]) -> None:
    callers = make_world().callers
    assert len(callers) == len({caller.name for caller in callers}) == 13 + 2 * len(SCOPES)


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
def test_forbidden_callers_change_nothing(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, example, world = operations[id], EXAMPLE_REQUESTS[id], make_world()
    before = all_rows(app)
    for caller in world.callers:
        status = expected_status(operation, example, caller)
        for method in methods_of(operation) if status != example.status else ():
            response = call(anonymous, operation._replace(method=method), example, caller, world)
            assert response.status_code == status, (method, caller.name)
            assert response.headers.get('WWW-Authenticate') == challenge_for(operation, example, caller), caller.name
            if status == 401 and method != 'HEAD':
                assert response.json == UNAUTHORIZED
    assert all_rows(app) == before


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
def test_permitted_callers_change_only_their_own(
    app: Flask, anonymous: Client, operations: dict[str, Operation], make_world: Callable[[], World], id: str
) -> None:
    operation, example, world = operations[id], EXAMPLE_REQUESTS[id], make_world()
    succeeded = set()
    for number in range(len(world.callers)):
        caller = world.callers[number]
        if expected_status(operation, example, caller) != example.status or is_redundant(operation, caller):
            continue
        bystanders = [world.users[user] for user in ('owner', 'other', 'third') if user != caller.whose]
        before = [rows_of(app, bystander) for bystander in bystanders]
        for method in methods_of(operation):
            response = call(anonymous, operation._replace(method=method), example, caller, world)
            assert response.status_code == example.status, (method, caller.name, response.text)
            assert 'WWW-Authenticate' not in response.headers
        if operation.needs != 'nothing':
            assert [rows_of(app, bystander) for bystander in bystanders] == before, caller.name
        succeeded.add(caller.name)
        if operation.method != 'GET':
            world = make_world()
    assert succeeded.issuperset(required_successes(operation, example))


def is_redundant(operation: Operation, caller: Caller) -> bool:
    """Return whether other callers cover this one.

    Tokens with several scopes behave like tokens with the required one. If an operation ignores tokens, one token with
    few scopes is enough.
    """
    if operation.needs == 'nothing':
        return len(caller.scopes) < len(SCOPES) and 'users:read alone' not in caller.name
    return 'but' in caller.name


def required_successes(operation: Operation, example: ExampleRequest) -> set[str]:
    alone = {f'a token with {scope} alone' for scope in operation.scopes}
    return {'the owner', *alone} | ({'another user'} if not example.others else set())
