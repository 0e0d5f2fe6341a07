"""Hostile requests never cause a 5xx, and rejected ones change nothing."""

import base64
import json
import time
from contextlib import contextmanager
from io import BytesIO

import pytest

from support.databases import dump_rows
from tests.support.client import PASSWORD
from tests.support.rows import add_posts

MERGE_PATCH = 'application/merge-patch+json'
BODY_ROUTES = [
    ('POST', '/api/users', 'application/json'),
    ('PUT', '/api/users/{id}', 'application/json'),
    ('PATCH', '/api/users/{id}', MERGE_PATCH),
]
ROUTES = [
    '/api/users',
    '/api/users/{id}',
    '/api/users/{id}/followers',
    '/api/users/{id}/following',
    '/api/tokens',
    '/api/nothing',
    '/',
]
COLLECTIONS = ['/api/users', '/api/users/{id}/followers', '/api/users/{id}/following']
FIELDS = ['username', 'email', 'about_me', 'password']


@pytest.fixture
def send(app, count_queries):
    """Yield a function that sends a request, fails on a 5xx or a 4xx that changed a row, and returns the response."""
    with count_queries() as statements:
        rows = dump_rows(app)

        def send_one(client, method, url, **request):
            nonlocal rows
            if wrote(statements):
                rows = dump_rows(app)
            statements.clear()
            response = client.open(url, method=method, **request)
            assert response.status_code < 500, (method, url)
            assert response.status_code < 400 or not wrote(statements) or dump_rows(app) == rows, (method, url)
            return response

        yield send_one


def wrote(statements):
    return any(not text.startswith(('SELECT', 'WITH')) for text in statements)


@pytest.fixture(params=BODY_ROUTES, ids=lambda route: route[0])
def send_body(request, ana, send):
    """Return a function that sends a body to a route that accepts one."""
    method, url, media_type = request.param

    def send_one(data, content_type=media_type, **others):
        return send(ana, method, url.format(id=ana.id), data=data, content_type=content_type, **others)

    send_one.fields = FIELDS if method == 'POST' else FIELDS[:3]
    return send_one


@contextmanager
def cpu_below(seconds):
    """Fail if this thread takes more CPU time, which depends less on the load of the machine than wall-clock time."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


def registration(**values):
    return {'username': 'bea', 'email': 'bea@example.com', 'password': PASSWORD, 'about_me': 'Hello'} | values


def body_with(field, text):
    """Return the body of a registration with this JSON text as the value of a field."""
    return json.dumps(registration(**{field: 'HERE'})).replace('"HERE"', text).encode()


# Bodies


@pytest.mark.parametrize(
    'text',
    [
        r'"\u0000"',
        r'"bea\u0000"',
        r'"\u0000bea@example.com"',
        r'"\ud800"',
        r'"bea\udfff@example.com"',
        r'"\udc00\ud800"',
        r'"\ud83d x"',
    ],
)
def test_nul_and_lone_surrogates_are_rejected(send_body, text):
    for field in send_body.fields:
        response = send_body(body_with(field, text))
        if field == 'password' and 'ud' not in text:  # a password may contain NUL, unless it is too short
            continue
        assert response.status_code == 400, field


def test_nul_in_a_password_works(anonymous, send):
    response = send(anonymous, 'POST', '/api/users', json=registration(password='long enough\0\0'))
    assert response.status_code == 201
    assert anonymous.ask_for_token('bea', 'long enough\0\0').status_code == 200
    assert anonymous.ask_for_token('bea', 'long enough').status_code == 401


@pytest.mark.parametrize(
    'text',
    ['0', '-1', '1.5', '1e999', '9' * 400, 'true', 'false', '[]', '["bea"]', '{}', '{"bea": 1}', '[null]', '[[[]]]'],
)
def test_wrong_json_types_are_rejected(send_body, text):
    for field in send_body.fields:
        response = send_body(body_with(field, text))
        assert response.status_code == 400, field
        assert 'errors' not in response.json or list(response.json['errors']) == [field]


def test_null_is_rejected_if_not_nullable(send_body):
    for field in send_body.fields:
        assert (send_body(body_with(field, 'null')).status_code == 400) == (field != 'about_me'), field


@pytest.mark.parametrize(
    'data',
    [
        b'[' * 50_000,
        b'{"a":' * 10_000,
        b'[' * 30_000 + b']' * 30_000,
        b'{"username":' + b'[' * 30_000 + b']' * 30_000 + b'}',
        b'{"unknown":' + b'{"a":' * 10_000 + b'1' + b'}' * 10_000 + b'}',
        b'"' + b'\\' * 50_000,
        b'{"username": "' + b'a' * 60_000 + b'"}',
        b'{"email": "' + b'a' * 60_000 + b'"}',
        b'{"email": "a@' + b'a-' * 30_000 + b'"}',
        b'{"email": "a@' + b'a.' * 30_000 + b'!"}',
        b'{"about_me": ' + b'9' * 60_000 + b'}',
        b'{"about_me": -0.' + b'9' * 60_000 + b'e-99}',
        b'{"about_me": 1e' + b'9' * 60_000 + b'}',
        b'{"username": NaN}',
        b'{"about_me": Infinity}',
        b'{"about_me": -Infinity}',
        b'NaN',
        b'{"about_me": "\xff\xfe"}',
        b'{"about_me": "\xc0\x80"}',
        b'{"about_me": "\xed\xa0\x80"}',
        b'{"about_me": "\xf4\x90\x80\x80"}',
        b'{"about_me": "\x00"}',
        b'{"about_me": "\n"}',
        b'{"about_me": "\\x"}',
        b'{"about_me": "\\u12"}',
        b'{\x00}',
        b'\x00',
        '{"about_me": "x"}'.encode('utf-16'),
        '{"about_me": "x"}'.encode('utf-16-le'),
        '{"about_me": "x"}'.encode('utf-32'),
        b'\x1f\x8b\x08\x00',
        b'/* */{"about_me": "x"}',
        b'about_me=x',
        b'<x/>',
    ],
)
def test_nonsense_bodies_are_rejected_quickly(send_body, data):
    with cpu_below(0.5):
        assert send_body(data).status_code == 400


@pytest.mark.parametrize(
    'data', [b'[' * 50_000 + b']' * 50_000, b'{"about_me": ' + b'9' * 100_000 + b'}', b'{}' + b' ' * 10**6]
)
def test_oversized_body_returns_413(send_body, data):
    assert send_body(data).status_code == 413
    assert send_body(data, headers={'Content-Length': str(10**30)}).status_code in (400, 413)
    chunked = {'input_stream': BytesIO(data), 'environ_base': {'wsgi.input_terminated': True}}
    assert send_body(None, headers={'Transfer-Encoding': 'chunked'}, **chunked).status_code == 413


@pytest.mark.parametrize('length', ['-1', 'x', '', '1e3', '0x10', '999'])
def test_false_content_length_is_not_a_500(send_body, length):
    assert send_body(b'{"about_me": 5}', headers={'Content-Length': length}).status_code in (400, 413)


def test_byte_order_mark_is_rejected_or_skipped(send_body):
    response = send_body(b'\xef\xbb\xbf{"about_me": 5}')
    assert response.status_code == 400


def test_duplicate_keys_count_once(ana, send):
    url = f'/api/users/{ana.id}'
    twice = b'{"about_me": "first", "about_me": "second"}'
    response = send(ana, 'PUT', url, data=twice, content_type='application/json')
    assert response.status_code == 400 or response.json['about_me'] in ('first', 'second')
    bad = b'{"about_me": 5, "username": 5, "about_me": "x", "username": ":"}'
    assert send(ana, 'PUT', url, data=bad, content_type='application/json').status_code == 400


@pytest.mark.parametrize(
    'content_type',
    [
        'text/plain; charset=utf-16',
        'application/x-www-form-urlencoded; charset=utf-8',
        'multipart/form-data',
        'multipart/form-data; boundary=',
        'application/json\x00',
        'application/\xff',
        ';',
        '/',
        'application/json/',
        'a' * 8000,
        'text/plain; a*=b',
        "text/plain; charset*=nonsense''%",
        'text/plain; application/json',
    ],
)
def test_wrong_content_type_returns_415(send_body, content_type):
    assert send_body(b'{"about_me": "x"}', content_type).status_code == 415


@pytest.mark.parametrize('charset', ['utf-16', 'latin-1', 'nonsense', '', '"', 'utf-7', 'idna'])
def test_charset_does_not_make_a_body_json(send_body, charset):
    refused = send_body(b'{"about_me": "\xff"}', f'application/json; charset={charset}')
    assert refused.status_code in (400, 415)


@pytest.mark.parametrize(
    'name', ['id', '__proto__', '__class__', 'created_at', 'actor', 'but', 'user_id', 'self', '', '\0']
)
def test_unknown_fields_are_ignored(ana, send, name):
    for value in (None, 5, [], {}, '\0', 'x'):
        response = send(ana, 'PUT', f'/api/users/{ana.id}', json={name: value})
        assert (response.status_code, response.json['id'], response.json['username']) == (200, ana.id, 'ana')


# Ids, pages and paths


@pytest.mark.parametrize(
    'id', ['0', '9223372036854775807', '9223372036854775808', '18446744073709551616', '9' * 22, '9' * 5000, '0' * 5000]
)
def test_ids_beyond_64_bits_return_404(ana, anonymous, send, id):
    for path in ('', '/followers', '/following'):
        assert send(ana, 'GET', f'/api/users/{id}{path}').status_code == 404
        assert send(anonymous, 'GET', f'/api/users/{id}{path}').status_code == 401
    assert send(ana, 'PUT', f'/api/users/{id}', json={'about_me': 'x'}).status_code == 403
    assert send(ana, 'PATCH', f'/api/users/{id}', data=b'{}', content_type=MERGE_PATCH).status_code == 403


ODD = [
    '9' * 22,
    '9' * 5000,
    '-' + '9' * 5000,
    '0' * 5000,
    '9223372036854775808',
    '-9223372036854775809',
    '2147483648',
    '1e400',
    '%00',
    '%FF%FE',
    '%ED%A0%80',
    '%C2%B2',
    '[]',
    "1'--",
    '1%3B',
]


@pytest.mark.parametrize('form', ['application/json', 'application/problem+json'])
@pytest.mark.parametrize(
    'query', ['fields=' + 'a,' * 20_000, 'fields=' + 'a' * 40_000], ids=['many unknown fields', 'long unknown field']
)
def test_many_errors_have_a_short_response(ana, query, form):
    response = ana.get(f'/api/users?{query}', headers={'Accept': form})
    assert response.status_code == 400
    assert 0 < len(response.json['errors']) <= 20
    assert len(response.data) < 3000


@pytest.mark.parametrize('value', ODD, ids=lambda value: value[:24])
def test_odd_page_numbers_are_accepted(ana, send, value):
    for url in COLLECTIONS:
        for query in (f'page={value}', f'per_page={value}', f'page={value}&per_page={value}', f'page={value}&after='):
            assert send(ana, 'GET', f'{url.format(id=ana.id)}?{query}').status_code == 200, query


@pytest.mark.parametrize(
    'query', ['?&&=&=x', '?page', '?page=1&page', '?' + 'a=1&' * 2000, '?page[]=1', '?%', '?%zz=%', '?page=%u0031']
)
def test_odd_queries_are_accepted(ana, send, query):
    for url in COLLECTIONS:
        assert send(ana, 'GET', url.format(id=ana.id) + query).status_code == 200


@pytest.mark.parametrize('value', ODD, ids=lambda value: value[:24])
def test_forged_cursors_are_rejected(ana, send, value):
    for url in COLLECTIONS:
        for parameter in ('after', 'before'):
            assert send(ana, 'GET', f'{url.format(id=ana.id)}?{parameter}={value}').status_code == 400


def test_long_page_number_is_parsed_quickly(ana):
    for value in ('0' * 10_000 + 'x', ' ' * 10_000 + 'x', '1' * 10_000 + 'x', '1' + ' ' * 10_000 + 'x'):
        with cpu_below(0.3):
            assert ana.get('/api/users', query_string={'page': value}).status_code == 200


@pytest.mark.parametrize(
    'path',
    [
        '/%00',
        '/api/%00',
        '/api/users/%00',
        '/%FF',
        '/api/users/%ED%A0%80',
        '/..%2f..%2fetc',
        '/api' + '/' * 5000,
        '/' + 'a' * 9000,
    ],
)
def test_odd_paths_return_404(anonymous, send, path):
    for method in ('GET', 'POST', 'PUT', 'DELETE'):
        for accept in ('application/json', 'text/html', 'application/problem+json'):
            assert send(anonymous, method, path, headers={'Accept': accept}).status_code == 404


# Credentials


def encoded(raw):
    return base64.b64encode(raw).decode()


AUTHORIZATION = [
    '',
    ' ',
    '\t',
    ':',
    'Basic',
    'Bearer',
    'Basic \t',
    'Basic ====',
    'Basic !!!!',
    'Basic \xe9',
    'Basic ' + encoded(b'no colon'),
    'Basic ' + encoded(b'ana\0:x'),
    'Basic ' + encoded(b'\0:\0'),
    'Basic ' + encoded(b'\xff\xfe:\xfd'),
    'Basic ' + encoded(b'\xed\xa0\x80:\xed\xa0\x80'),
    'Basic ' + encoded(':'.join('ana' * 9).encode()),
    'Basic ' + encoded(b'a' * 6000),
    'Basic ' + encoded(b'a' * 3000 + b':' + b'a' * 3000),
    'Basic ' + 'A' * 8191,
    'Bearer \xff',
    'Bearer ' + 'a' * 8192,
    'Bearer ' + '9' * 8192,
    'Bearer \x7f',
    'Bearer a, Basic b',
    'Bearer a, Bearer b',
    'Bearer a=b, c="d',
    'Bearer =',
    'Bearer a*=b',
    'Bearer *=b',
    "Bearer a*=utf-8''%ff%",
    "Bearer a*=nonsense''x",
    "Digest a*0*=utf-8''%, a*1=\"",
    'Bearer ,',
    'Digest username="ana", response="x"',
    'Negotiate abc',
    'AWS4-HMAC-SHA256 Credential=x',
    'a' * 8192,
    '\xff' * 8192,
    ',' * 8192,
    '"' * 8192,
]


@pytest.mark.parametrize('header', AUTHORIZATION, ids=lambda header: ascii(header[:24]))
def test_odd_credentials_return_401(ana, anonymous, send, header):
    requests = [('GET', url) for url in ROUTES[:4]] + [
        ('PUT', ROUTES[1]),
        ('POST', '/api/tokens'),
        ('DELETE', '/api/tokens'),
    ]
    for method, url in requests:
        response = send(anonymous, method, url.format(id=ana.id), headers={'Authorization': header})
        assert (response.status_code, response.data) == (401, b'{"error":"Unauthorized"}')


def test_repeated_authorization_headers_are_not_a_500(ana, anonymous, send):
    headers = [('Authorization', f'Bearer {ana.token}'), ('Authorization', 'Basic YW5hOng=')]
    for method, url in (('GET', '/api/users'), ('POST', '/api/tokens')):
        assert send(anonymous, method, url, headers=headers).status_code in (200, 400, 401)


# Methods

METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'CONNECT', 'PROPFIND', 'LINK', 'QUERY']
METHODS += ['get', 'Post', 'put', 'X' * 100, 'GE\xc9', '*', '__init__']


@pytest.mark.parametrize('url', ROUTES)
@pytest.mark.parametrize('logged_in', [True, False])
def test_odd_methods_are_not_a_500(ana, anonymous, send, url, logged_in):
    for method in METHODS:
        for others in ({}, {'data': b'{', 'content_type': 'application/json'}, {'data': b'\xff' * 70_000}):
            send(ana if logged_in else anonymous, method, url.format(id=ana.id), **others)


@pytest.mark.parametrize('override', ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])
def test_method_override_is_ignored(app, ana, override):
    before = dump_rows(app)
    assert ana.get(f'/api/users/{ana.id}', headers={override: 'DELETE'}).status_code == 200
    assert (
        ana.get(f'/api/users/{ana.id}?_method=PUT', headers={override: 'PUT'}, json={'about_me': 'x'}).status_code
        == 200
    )
    assert dump_rows(app) == before


# Other headers


ODD_HEADERS = ['', '\xff', 'a' * 8192, ',' * 8192, '*/*;' * 2000, 'text/html;q=' + '9' * 5000, '"', 'a/b;c="']
ODD_HEADERS += ['text/html;a*=b', "text/html;a*0*=nonsense''%;a*1=x", 'text/html;q*=1;*=', 'text/html;q=nan']


@pytest.mark.parametrize('value', ODD_HEADERS, ids=lambda value: ascii(value[:24]))
def test_odd_accept_headers_are_not_a_500(ana, send, value):
    for name in ('Accept', 'Accept-Language', 'If-None-Match', 'Range', 'Cookie', 'X-Request-ID', 'Forwarded'):
        assert send(ana, 'GET', '/api/users', headers={name: value}).status_code in (200, 304, 406)
        assert send(ana, 'GET', '/api/users/0', headers={name: value}).status_code == 404


# Posts, likes, follows and timelines

TIMELINES = ['/api/posts', '/api/feed', '/api/users/{id}/posts', '/api/users/{id}/likes']
TIMELINES += [f'/api/posts/{{post}}/{what}' for what in ('replies', 'thread', 'history')]
POST_PATHS = ['', '/like', '/likes', '/replies', '/thread', '/history']
POST_BODIES = [
    ('POST', '/api/posts', 'application/json'),
    ('PUT', '/api/posts/{post}', 'application/json'),
    ('PATCH', '/api/posts/{post}', MERGE_PATCH),
]


@pytest.fixture
def post(app, ana):
    """Return the id of a post by ana."""
    return add_posts(app, ana.id, 1)[0]


@pytest.fixture(params=POST_BODIES, ids=lambda route: route[0])
def send_post(request, ana, post, send):
    """Return a function that sends a body to a route that accepts a post."""
    method, url, media_type = request.param

    def send_one(data, content_type=media_type):
        return send(ana, method, url.format(post=post), data=data, content_type=content_type)

    send_one.fields = ['text', 'reply_to_id'] if method == 'POST' else ['text']
    return send_one


def post_with(field, text):
    return json.dumps({'text': 'x', 'reply_to_id': None} | {field: 'HERE'}).replace('"HERE"', text).encode()


INVALID = ['0', '-1', '1.5', '1e300', '9' * 300, 'true', 'false', '[]', '["x"]', '{}', '{"x": 1}', '[null]', '[[[]]]']
INVALID += [r'"\u0000"', r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d x"', '""', 'NaN', '1e999', '9' * 5000, '"\xff']
INVALID += ['9223372036854775808', '18446744073709551616', '-9223372036854775809', '"' + 'a' * 281 + '"']


@pytest.mark.parametrize('text', INVALID, ids=lambda text: ascii(text)[:24])
def test_odd_values_in_a_post_are_rejected(send_post, text):
    for field in send_post.fields:
        assert send_post(post_with(field, text)).status_code == 400, field


@pytest.mark.parametrize(
    'data', [b'[' * 50_000, b'{"text":' * 5_000, b'{"text": "' + b'a' * 60_000 + b'"}', b'', b'null']
)
def test_odd_bodies_of_a_post_are_rejected(send_post, data):
    with cpu_below(0.5):
        assert send_post(data).status_code == 400
        assert send_post(data, 'text/plain').status_code == 415


@pytest.mark.parametrize('name', ['id', '__proto__', '__class__', 'actor', 'author_id', 'liked', 'self', '', '\0'])
def test_unknown_fields_of_a_post_are_ignored(send_post, name):
    for value in (None, 5, [], {}, '\0', 'x'):
        response = send_post(json.dumps({name: value, 'text': 'x'}).encode())
        assert response.status_code in (200, 201)
        assert (response.json['author']['username'], response.json['liked']) == ('ana', False)


@pytest.mark.parametrize(
    'id', ['0', '9223372036854775807', '9223372036854775808', '18446744073709551616', '9' * 22, '9' * 5000, '-1', '%00']
)
def test_odd_ids_are_neither_posts_nor_users(ana, anonymous, send, id):
    for path in POST_PATHS:
        assert send(ana, 'GET', f'/api/posts/{id}{path}').status_code == 404
    for path in ('posts', 'likes'):
        assert send(ana, 'GET', f'/api/users/{id}/{path}').status_code == 404
    for method in ('GET', 'PUT', 'DELETE'):
        assert send(ana, method, f'/api/posts/{id}/like').status_code == 404
        assert send(ana, method, f'/api/me/following/{id}').status_code == 404
        if id.isdigit():
            assert send(anonymous, method, f'/api/posts/{id}').status_code == 401
    assert send(ana, 'DELETE', f'/api/posts/{id}').status_code == 404
    assert send(ana, 'PUT', f'/api/posts/{id}', json={'text': 'x'}).status_code == 404
    assert send(ana, 'PATCH', f'/api/posts/{id}', data=b'{}', content_type=MERGE_PATCH).status_code == 404


@pytest.mark.parametrize('value', ODD, ids=lambda value: value[:24])
def test_odd_timeline_cursors_are_rejected(ana, post, send, value):
    for url in TIMELINES:
        path = url.format(id=ana.id, post=post)
        for query in (f'per_page={value}', f'page={value}', f'per_page={value}&after=', f'per_page={value}&before='):
            assert send(ana, 'GET', f'{path}?{query}').status_code == 200, query
        for parameter in ('after', 'before'):
            assert send(ana, 'GET', f'{path}?{parameter}={value}').status_code == 400, path
    assert send(ana, 'GET', f'/api/users?username={value}').status_code == 200
    assert send(ana, 'GET', f'/api/me/relationships?id={value}').status_code in (200, 400)


@pytest.mark.parametrize(
    'query', ['?&&=&=x', '?per_page', '?' + 'a=1&' * 2000, '?per_page[]=1', '?%', '?%zz=%', '?per_page=1&per_page=x']
)
def test_odd_timeline_queries_are_accepted(ana, post, send, query):
    for url in TIMELINES:
        assert send(ana, 'GET', url.format(id=ana.id, post=post) + query).status_code == 200
    assert send(ana, 'GET', '/api/me/relationships' + query).status_code == 400


@pytest.mark.parametrize('header', AUTHORIZATION[::4], ids=lambda header: ascii(header[:24]))
def test_odd_credentials_return_401_for_posts(ana, anonymous, post, send, header):
    requests = [('GET', url.format(id=ana.id, post=post)) for url in TIMELINES]
    requests += [(method, f'/api/posts/{post}/like') for method in ('GET', 'PUT', 'DELETE')]
    requests += [(method, '/api/me/following/1') for method in ('GET', 'PUT', 'DELETE')]
    requests += [(method, f'/api/posts/{post}') for method in ('GET', 'PUT', 'PATCH', 'DELETE')]
    requests += [('POST', '/api/posts'), ('GET', '/api/me'), ('GET', '/api/me/relationships?id=1')]
    for method, url in requests:
        response = send(anonymous, method, url, headers={'Authorization': header})
        assert (response.status_code, response.data) == (401, b'{"error":"Unauthorized"}')


@pytest.mark.parametrize('url', ['/api/posts', '/api/posts/{post}', '/api/posts/{post}/like', '/api/me/following/{id}'])
@pytest.mark.parametrize('logged_in', [True, False])
def test_odd_methods_on_posts_are_not_a_500(ana, anonymous, post, send, url, logged_in):
    for method in METHODS:
        for others in ({}, {'data': b'{', 'content_type': 'application/json'}, {'data': b'\xff' * 70_000}):
            send(ana if logged_in else anonymous, method, url.format(id=ana.id, post=post), **others)
