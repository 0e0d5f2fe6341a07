"""The changes between two OpenAPI documents, and which of them break clients."""

from typing import Any

import pytest

from api.openapi_diff.changes import diff_documents
from api.openapi_diff.releases import declared_breaks

Json = dict[str, Any]

TEXT: Json = {'type': 'string'}
OBJECT: Json = {'type': 'object', 'properties': {'name': TEXT, 'about': TEXT}, 'required': ['name']}
TREE: Json = {'type': 'object', 'properties': {'text': TEXT, 'replies': {'type': 'array', 'items': {'$ref': '#/t'}}}}

# (old, new, message, whether the change breaks clients that send it, whether it breaks clients that receive it)
SCHEMAS: list[tuple[Json, Json, str, bool, bool]] = [
    (TEXT, {'type': ['string', 'null']}, ': can also be null.', False, True),
    ({'type': ['string', 'null']}, TEXT, ': no longer null.', True, False),
    ({'type': 'integer'}, {'type': 'number'}, ': can also be number.', False, True),
    ({'enum': ['a', 'b']}, {'enum': ['a', 'b', 'c']}, ': can also be c.', False, True),
    ({'enum': ['a', 'b']}, {'enum': ['a']}, ': no longer b.', True, False),
    ({'enum': ['a']}, {}, ': no enum, formerly enum `["a"]`.', False, True),
    ({}, {'enum': ['a']}, ': enum `["a"]`, formerly no enum.', True, False),
    ({'maxLength': 9}, {'maxLength': 5}, ': at most 5 characters, formerly at most 9 characters.', True, False),
    ({'maxItems': 9}, {}, ': without limit, formerly at most 9 items.', False, True),
    ({'minimum': 0}, {'minimum': 1}, ': at least 1, formerly at least 0.', True, False),
    ({}, {'exclusiveMinimum': 0}, ': above 0, formerly without limit.', True, False),
    ({'pattern': 'a'}, {'pattern': 'b'}, ': pattern `b`, formerly pattern `a`.', True, True),
    ({'pattern': 'a' * 50}, {'pattern': 'b' * 50}, ': different pattern.', True, True),
    ({'format': 'date'}, {}, ': no format, formerly format `date`.', False, True),
    ({'format': 'int64'}, {'minimum': -(2**63), 'maximum': 2**63 - 1}, '', False, False),
    (
        {'format': 'int64'},
        {'format': 'int64', 'minimum': 1},
        ': at least 1, formerly at least -9223372036854775808.',
        True,
        False,
    ),
    ({'default': 10}, {'default': 20}, ': default `20`, formerly default `10`.', True, False),
    ({}, {'multipleOf': 2}, ': multipleOf `2`, formerly no multipleOf.', True, False),
    ({}, {'x-unit': 'seconds', 'description': 'How long.', 'examples': [3]}, '', False, False),
    (
        {'items': TEXT},
        {'items': TEXT | {'maxLength': 5}},
        ', field `[]`: at most 5 characters, formerly without limit.',
        True,
        False,
    ),
    ({'items': TEXT}, {}, ': no items, formerly items `{"type": "string"}`.', False, True),
    (
        {'additionalProperties': TEXT},
        {'additionalProperties': {'type': ['string', 'null']}},
        ', field `.*`: can also be null.',
        False,
        True,
    ),
    (OBJECT, OBJECT | {'properties': {'name': TEXT}}, ', field `about`: removed.', True, True),
    (OBJECT, OBJECT | {'required': ['name', 'about']}, ', field `about`: required.', True, False),
    (OBJECT, OBJECT | {'required': []}, ', field `name`: optional.', False, True),
    (
        {'type': 'object'},
        {'type': 'object', 'properties': {'b': TEXT, 'a': TEXT}},
        ', field `a`, `b`: new.',
        False,
        False,
    ),
    ({'type': 'object'}, OBJECT | {'properties': {'name': TEXT}}, ', field `name`: new, required.', True, False),
    ({'$ref': '#/t'}, {'anyOf': [{'$ref': '#/t'}, {'type': 'null'}]}, ': can also be null.', False, True),
    ({'anyOf': [{'$ref': '#/t'}, {'type': 'null'}]}, {'$ref': '#/t'}, ': no longer null.', True, False),
    (
        {'anyOf': [{'$ref': '#/t'}]},
        {'anyOf': [{'$ref': '#/t'}, TEXT | {'format': 'date'}]},
        ': can also be {"format": "date", "type": "string"}.',
        False,
        True,
    ),
]


def document(*, schemas: Json | None = None, **operation: Any) -> Json:
    """Return a document with one operation."""
    whole = {'summary': 'List notes', 'parameters': [], 'responses': {}} | operation
    return {'paths': {'/notes': {'get': whole}}, 't': schemas or TREE}


def body(schema: Json, media_type: str = 'application/json', **others: Any) -> Json:
    return {'requestBody': {'content': {media_type: {'schema': schema}}} | others}


def response(schema: Json, status: str = '200', media_type: str = 'application/json') -> Json:
    return {'responses': {status: {'content': {media_type: {'schema': schema}}}}}


def responses(*statuses: str, **others: Any) -> Json:
    return {'responses': {status: {'$ref': '#/t'} for status in statuses}, 'schemas': others}


def headers(**schemas: Json) -> Json:
    return {'headers': {name: {'required': True, 'schema': schema} for name, schema in schemas.items()}}


def query(**others: Any) -> Json:
    return {'parameters': [{'in': 'query', 'name': 'page', 'schema': TEXT, **others}]}


def requires(*requirements: Json) -> Json:
    return {'security': list(requirements)}


def diff(old: Json, new: Json) -> list[tuple[bool, str]]:
    found = diff_documents(old, new)
    assert {change.operation for change in found} <= {'GET /notes'}
    return [(change.breaking, change.what) for change in found]


@pytest.mark.parametrize(('old', 'new', 'what', 'to_send', 'to_get'), SCHEMAS)
def test_breaking_depends_on_the_direction(old: Json, new: Json, what: str, to_send: bool, to_get: bool) -> None:
    expected = [(to_send, f'Body{what}')] if what else []
    assert diff(document(**body(old)), document(**body(new))) == expected
    expected = [(to_get, f'Response 200{what}')] if what else []
    assert diff(document(**response(old)), document(**response(new))) == expected


def test_changed_type_is_the_only_difference() -> None:
    assert diff(document(**response(OBJECT)), document(**response(TEXT))) == [
        (True, 'Response 200: can also be string.'),
        (False, 'Response 200: no longer object.'),
    ]


def test_recursive_schema_terminates() -> None:
    longer = {**TREE, 'properties': {**TREE['properties'], 'text': TEXT | {'maxLength': 9}}}
    old, new = (document(schemas=schema, **response({'$ref': '#/t'})) for schema in (TREE, longer))
    assert diff(new, old) == [(True, 'Response 200, field `text`: without limit, formerly at most 9 characters.')]


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ({}, {'deprecated': True}, [(False, 'Deprecated.')]),
        ({}, {'description': 'All of them.'}, []),
        ({}, query(), [(False, 'Query parameter `page`: new.')]),
        ({}, query(required=True), [(True, 'Query parameter `page`: new, required.')]),
        (query(), {}, [(True, 'Query parameter `page`: removed.')]),
        (query(), query(required=True), [(True, 'Query parameter `page`: required.')]),
        (query(), query(explode=False), [(True, 'Query parameter `page`: explode `false`, formerly explode `usual`.')]),
        ({}, body(TEXT, required=True), [
            (True, 'Body: required.'), (False, 'Body: can also be `application/json`.')]),
        (body(TEXT, required=True), body(TEXT), [(False, 'Body: optional.')]),
        (body(TEXT), {}, [(True, 'Body: no longer `application/json`.')]),
        (response(TEXT), response(TEXT, media_type='text/plain'), [
            (True, 'Response 200: no longer `application/json`.'),
            (False, 'Response 200: can also be `text/plain`.')]),
        (responses('200', '404'), responses('200'), [(False, 'Status `404`: removed.')]),
        (responses('200'), responses('200', '403', '404'), [(False, 'Status `403`, `404`: new.')]),
        (responses('200'), responses('201'), [(True, 'Status `201`: new.'), (True, 'Status `200`: removed.')]),
        (responses('200', **headers()), responses('200', **headers(ETag=TEXT)), [
            (False, 'Response 200, header `ETag`: new, required.')]),
        (responses('200', '404', **headers(ETag=TEXT)), responses('200', '404', **headers()), [
            (True, 'Every response, header `ETag`: removed.')]),
    ],
)  # fmt: skip
def test_changes_of_an_operation(old: Json, new: Json, expected: list[tuple[bool, str]]) -> None:
    assert diff(document(**old), document(**new)) == expected


@pytest.mark.parametrize(
    ('changed', 'part'),
    [
        ({'400', '404'}, 'Every error'),
        ({'200', '400'}, 'Responses 200, 400'),
        ({'404'}, 'Response 404'),
    ],
)
def test_equal_response_changes_share_a_sentence(changed: set[str], part: str) -> None:
    statuses = ('200', '400', '404')
    old = document(responses={status: {} for status in statuses})
    new = document(responses={status: headers(Age=TEXT) if status in changed else {} for status in statuses})
    assert diff(old, new) == [(False, f'{part}, header `Age`: new, required.')]


@pytest.mark.parametrize(
    ('old', 'new', 'breaking', 'text'),
    [
        ([], [{'token': []}], True, 'Needs `token`, formerly no credentials.'),
        ([{'token': []}], [{'token': ['read']}], True, 'Needs `token` with `read`, formerly `token`.'),
        ([{'token': ['read']}], [{'token': []}], False, 'Needs `token`, formerly `token` with `read`.'),
        ([{'token': []}], [{'token': []}, {'basic': []}], False, 'Needs `token` or `basic`, formerly `token`.'),
        ([{'token': []}, {'basic': []}], [{'token': []}], True, 'Needs `token`, formerly `token` or `basic`.'),
        ([{'token': [], 'basic': []}], [], False, 'Needs no credentials, formerly `token` and `basic`.'),
    ],
)
def test_accepted_credentials_must_stay_accepted(old: list[Json], new: list[Json], breaking: bool, text: str) -> None:
    assert diff(document(**requires(*old)), document(**requires(*new))) == [(breaking, text)]


def with_schemes(**schemes: Json) -> Json:
    return {'paths': {}, 'components': {'securitySchemes': schemes}}


def test_security_scheme_changes_are_breaking() -> None:
    bearer = {'type': 'http', 'scheme': 'bearer', 'description': 'A token.'}
    assert diff_documents(with_schemes(a=bearer), with_schemes(a=bearer | {'description': 'Yours.'}, b=bearer)) == []
    assert diff_documents(with_schemes(a=bearer, b=bearer), with_schemes(a=bearer | {'scheme': 'basic'})) == [
        (True, '', 'Credentials `a`: sent in a different way.')
    ]


def test_breaking_operation_changes_come_first() -> None:
    operation = document()['paths']['/notes']['get']
    old, new = {'paths': {'/notes': {'get': operation}}}, {'paths': {'/notes': {'post': operation}}}
    found = diff_documents(old, new)
    assert found == [(True, 'GET /notes', 'Removed.'), (False, 'POST /notes', 'New: List notes.')]
    assert [change.line for change in found] == ['GET /notes: Removed.', 'POST /notes: New: List notes.']


def test_changes_of_every_operation_are_merged() -> None:
    old, new = (
        {'paths': {'/notes': {'get': operation, 'put': operation | own}}}
        for operation, own in (
            (document(**query())['paths']['/notes']['get'], {}),
            (document()['paths']['/notes']['get'], {'deprecated': True}),
        )
    )
    found = diff_documents(old, new)
    assert found == [(True, '', 'Query parameter `page`: removed.'), (False, 'PUT /notes', 'Deprecated.')]
    assert found[0].line == 'All operations: Query parameter `page`: removed.'


def test_breaks_are_declared_below_a_reason() -> None:
    assert declared_breaks('# It was never used.\na\nb\n\nc\n# It never\n# worked.\nd\n') == {'a', 'b', 'd'}
    assert declared_breaks('') == set()
