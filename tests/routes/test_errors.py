"""Tests of errors: status, headers and body in every media type."""

from dataclasses import replace

import pytest

from api.app import create_app
from api.db.session import db
from support.databases import dump_rows
from tests.support.client import Client

JSON, PROBLEM, HTML = 'application/json', 'application/problem+json', 'text/html'
BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
PHRASES = {
    400: 'Bad Request',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'Not Found',
    405: 'Method Not Allowed',
    413: 'Request Entity Too Large',
    415: 'Unsupported Media Type',
    500: 'Internal Server Error',
    503: 'Service Unavailable',
}
PAGES = {404, 500}
ALLOWED = {
    '/api/users': 'GET, HEAD, OPTIONS, POST',
    '/api/users/{id}': 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT',
    '/api/users/{id}/followers': 'GET, HEAD, OPTIONS',
    '/api/users/{id}/following': 'GET, HEAD, OPTIONS',
    '/api/tokens': 'DELETE, GET, HEAD, OPTIONS, POST',
    '/api/me/password': 'OPTIONS, PUT',
    '/api/password-resets': 'OPTIONS, POST, PUT',
    '/api/email-verifications': 'OPTIONS, POST, PUT',
    '/api/me/export': 'GET, HEAD, OPTIONS',
    '/api/me/tokens': 'DELETE, GET, HEAD, OPTIONS, POST',
    '/api/me/tokens/{id}': 'DELETE, GET, HEAD, OPTIONS, PATCH',
}
UNKNOWN_TOKEN = {'Authorization': 'Bearer ' + '0' * 32}
SECRET = 'a-word-from-the-inside'


def fail(*args, **kwargs):
    raise RuntimeError(SECRET)


@pytest.fixture
def without_database(settings, anonymous):
    """Yield a client of a server whose database is unreachable."""
    gone = (
        'sqlite:////nowhere/at/all.sqlite'
        if 'sqlite' in settings.database_url
        else 'postgresql+psycopg://127.0.0.1:1/x'
    )
    app = create_app(replace(settings, database_url=gone))
    app.test_client_class = Client
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(params=PHRASES)
def failing(request, quick_login, make_user, monkeypatch):
    """Return a function that sends a request whose response has this status, for every status: `failing(accept)`."""
    ana = quick_login('ana')
    client, method, url, sent = {
        400: (ana, 'POST', '/api/users', {'json': {}}),
        401: (ana, 'GET', '/api/users', {'headers': UNKNOWN_TOKEN}),
        403: (ana, 'PUT', '/api/users/0', {'json': {}}),
        404: (ana, 'GET', '/api/users/0', {}),
        405: (ana, 'DELETE', '/api/users', {}),
        413: (ana, 'POST', '/api/users', {'data': b' ' * 70_000, 'content_type': JSON}),
        415: (ana, 'POST', '/api/users', {'data': b'x=1'}),
        500: (ana, 'GET', '/api/users', {}),
        503: (None, 'GET', '/api/users', {'headers': UNKNOWN_TOKEN}),
    }[request.param]
    if client is None:
        client = request.getfixturevalue('without_database')
    if request.param == 500:
        monkeypatch.setattr('api.routes.users.list_users', fail)

    def send(accept):
        headers = sent.get('headers', {}) | ({'Accept': accept} if accept is not None else {})
        response = client.open(url, method=method, **(sent | {'headers': headers}))
        assert response.status_code == request.param
        return response

    return send


# Negotiation

NEGOTIATED = [
    # Accept, media type of a 404 or 500, media type of every other error
    (None, JSON, JSON),
    ('', JSON, JSON),
    ('*/*', JSON, JSON),
    (JSON, JSON, JSON),
    (BROWSER, HTML, JSON),
    (HTML, HTML, JSON),
    ('TEXT/HTML', HTML, JSON),
    ('text/html; charset=utf-8', HTML, JSON),
    ('text/*', HTML, JSON),
    ('text/html, */*;q=0.9', HTML, JSON),
    ('text/html, application/*;q=0.9', HTML, JSON),
    ('text/html;q=0.2, application/json;q=0.1', HTML, JSON),
    ('application/json;q=0.001, text/html;q=0.002', HTML, JSON),
    ('text/html, application/json;q=0', HTML, JSON),
    ('text/html;q=0.5', HTML, JSON),
    ('text/html, application/json', JSON, JSON),
    ('application/json, text/html', JSON, JSON),
    ('text/html, */*', JSON, JSON),
    ('text/html;q=0.8, */*;q=0.8', JSON, JSON),
    ('text/*, application/*', JSON, JSON),
    ('application/json, text/html;q=0.9', JSON, JSON),
    ('application/json; charset=utf-8, text/html;q=0.9', JSON, JSON),
    ('*/*, text/html;q=0.9', JSON, JSON),
    ('application/*, text/*;q=0.1', JSON, JSON),
    ('text/html;q=0, */*', JSON, JSON),
    ('text/html;q=0', JSON, JSON),
    ('text/plain', JSON, JSON),
    ('image/png, audio/*;q=0.2', JSON, JSON),
    ('application/xml', JSON, JSON),
    ('text/html;q=x', JSON, JSON),
    (';;,=,q', JSON, JSON),
    ('\xff\xfe', JSON, JSON),
    ('*', JSON, JSON),
    (PROBLEM, PROBLEM, PROBLEM),
    ('Application/Problem+JSON', PROBLEM, PROBLEM),
    (f'{PROBLEM}; charset=utf-8', PROBLEM, PROBLEM),
    (f'{PROBLEM}, {JSON}', PROBLEM, PROBLEM),
    (f'{JSON}, {PROBLEM}', PROBLEM, PROBLEM),
    (f'{JSON};q=0.5, {PROBLEM};q=0.5', PROBLEM, PROBLEM),
    (f'{JSON};q=0.4, {PROBLEM};q=0.5', PROBLEM, PROBLEM),
    (f'{PROBLEM}, */*', PROBLEM, PROBLEM),
    (f'{PROBLEM}, */*;q=0.1', PROBLEM, PROBLEM),
    (f'{PROBLEM};q=0.1', PROBLEM, PROBLEM),
    (f'{PROBLEM}, {JSON};q=0', PROBLEM, PROBLEM),
    (f'{PROBLEM}, {HTML}', PROBLEM, PROBLEM),
    (f'{PROBLEM}, {HTML};q=0.9', PROBLEM, PROBLEM),
    (f'{HTML}, {PROBLEM};q=0.9', HTML, PROBLEM),
    (f'{HTML}, {PROBLEM};q=0.9, {JSON};q=0.95', HTML, JSON),
    (f'{PROBLEM};q=0.4, {JSON};q=0.5', JSON, JSON),
    (f'{PROBLEM};q=0.9, */*', JSON, JSON),
    (f'{PROBLEM};q=0.9, application/*', JSON, JSON),
    (f'{PROBLEM};q=0', JSON, JSON),
    (f'{PROBLEM};q=0, */*', JSON, JSON),
    ('application/*', JSON, JSON),
    ('application/problem+xml', JSON, JSON),
]


@pytest.mark.parametrize(('accept', 'page', 'other'), NEGOTIATED)
def test_error_media_type_follows_accept(anonymous, accept, page, other):
    headers = {} if accept is None else {'Accept': accept}
    missing = anonymous.get('/api/nothing', headers=headers)
    assert (missing.status_code, missing.mimetype) == (404, page)
    rejected = anonymous.post('/api/users', json={}, headers=headers)
    assert (rejected.status_code, rejected.mimetype) == (400, other)


MEDIA_TYPES = [(None, JSON), (JSON, JSON), ('*/*', JSON), (PROBLEM, PROBLEM), (BROWSER, HTML)]


def test_errors_have_the_same_headers_in_every_form(failing):
    plain = failing(None)
    for accept, media_type in MEDIA_TYPES:
        response = failing(accept)
        expected = media_type if media_type != HTML or response.status_code in PAGES else JSON
        assert response.mimetype == expected
        assert response.headers['Vary'] == 'Accept, Authorization'
        assert headers_of(response) == headers_of(plain)


def headers_of(response):
    own_headers = ('Content-Type', 'Content-Length', 'X-Request-ID')
    return {name: value for name, value in response.headers.items() if name not in own_headers}


def test_errors_have_these_json_fields(failing):
    response = failing(JSON)
    fields = list(response.json)
    assert response.json['error'] == PHRASES[response.status_code]
    assert fields == ['error', *[name for name in ('message', 'errors') if name in fields]]
    assert None not in response.json.values()


def test_errors_have_these_problem_fields(failing):
    plain, problem = failing(JSON).json, failing(PROBLEM)
    assert problem.json['title'] == plain['error'] == PHRASES[problem.status_code]
    assert problem.json['status'] == problem.status_code
    assert problem.json.get('detail') == plain.get('message')
    assert problem.json['instance'] == problem.request.path
    assert isinstance(problem.json['type'], str)
    assert ('errors' in problem.json) == ('errors' in plain)
    assert None not in problem.json.values()
    order = ['type', 'title', 'status', 'detail', 'instance', 'errors']
    assert list(problem.json) == [name for name in order if name in problem.json]


@pytest.mark.parametrize('url', ['/api/users/0', '/api/nothing'])
def test_message_is_absent_if_there_is_nothing_to_add(quick_login, url):
    assert quick_login('ana').get(url).data == b'{"error":"Not Found"}'


def test_invalid_fields_are_named(anonymous):
    sent = {'username': ':', 'email': 'x', 'password': 'short', 'about_me': 5}
    plain = anonymous.post('/api/users', json=sent)
    assert list(plain.json) == ['error', 'message', 'errors']
    assert sorted(plain.json['errors']) == ['about_me', 'email', 'password', 'username']
    assert all(texts and all(isinstance(text, str) for text in texts) for texts in plain.json['errors'].values())
    problem = anonymous.post('/api/users', json=sent, headers={'Accept': PROBLEM})
    assert problem.json['errors'] == [
        {'pointer': f'#/{field}', 'detail': text} for field, texts in plain.json['errors'].items() for text in texts
    ]


@pytest.mark.parametrize(
    'path', ['/api/n%C3%BC x', '/api/%FF', '/api/%00', '/api/a%2Fb%3Fc%23d', '/api/<b>', '/api/"\\']
)
def test_problem_instance_is_a_uri_reference(anonymous, path):
    problem = anonymous.get(path, headers={'Accept': PROBLEM})
    assert (problem.status_code, problem.mimetype) == (404, PROBLEM)
    assert problem.json['instance'].isascii()
    assert not set(' "<>\\^`{|}\0') & set(problem.json['instance'])


# Statuses


def test_401_is_literal_and_keeps_its_challenge(anonymous):
    for accept, _ in MEDIA_TYPES:
        headers = {'Accept': accept} if accept else {}
        bearer, basic = anonymous.get('/api/users', headers=headers), anonymous.post('/api/tokens', headers=headers)
        assert bearer.headers['WWW-Authenticate'] == 'Bearer realm="Authentication Required"'
        assert basic.headers['WWW-Authenticate'] == 'Basic realm="Authentication Required"'
        if accept != PROBLEM:
            assert bearer.data == basic.data == b'{"error":"Unauthorized"}'


@pytest.mark.parametrize(('path', 'allowed'), ALLOWED.items())
def test_405_has_allow(anonymous, path, allowed):
    methods = {'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'FOO'} - set(allowed.split(', '))
    for method in methods:
        response = anonymous.open(path.format(id=1), method=method)
        assert (response.status_code, response.data) == (405, b'{"error":"Method Not Allowed"}'), method
        assert set(response.headers['Allow'].split(', ')) == set(allowed.split(', '))


def test_head_without_get_returns_405(anonymous):
    response = anonymous.head('/api/password-resets')
    assert (response.status_code, response.data) == (405, b'')
    assert set(response.headers['Allow'].split(', ')) == {'OPTIONS', 'POST', 'PUT'}


@pytest.mark.parametrize(('path', 'allowed'), ALLOWED.items())
def test_options_returns_allow_to_anyone(anonymous, path, allowed):
    response = anonymous.options(path.format(id=1))
    assert (response.status_code, response.data) == (200, b'')
    assert response.headers['Content-Length'] == '0'
    assert set(response.headers['Allow'].split(', ')) == set(allowed.split(', '))


@pytest.mark.parametrize('accept', [None, BROWSER, PROBLEM])
@pytest.mark.parametrize(
    'url',
    [
        '/api/users',
        '/api/users?page=2&per_page=1',
        '/api/users?after=',
        '/api/users?after=x',
        '/api/users/{id}',
        '/api/users/0',
        '/api/users/{id}/followers',
        '/api/users/{id}/following',
        '/api/users/0/following',
        '/api/nothing',
    ],
)
def test_head_equals_get_without_a_body(quick_login, anonymous, url, accept):
    ana = quick_login('ana')
    headers = {'Accept': accept} if accept else {}
    for client in (ana, anonymous):
        get = client.get(url.format(id=ana.id), headers=headers)
        head = client.head(url.format(id=ana.id), headers=headers)
        assert (head.status_code, head.data) == (get.status_code, b'')
        assert head.headers['Content-Length'] == str(len(get.data))
        assert head.headers['Content-Type'] == get.headers['Content-Type']
        assert headers_of(head) == headers_of(get)


@pytest.mark.parametrize(
    'url',
    [
        '/api/users/',
        '/api/users/{id}/',
        '/api/users/{id}/followers/',
        '/api/users/{id}/following/',
        '/api/tokens/',
        '/api//users',
        '/api/users//{id}',
        '/api/users/{id}//followers',
        '/api',
        '/api/',
        '/API/users',
        '/api/users/x',
        '/api/users/-1',
        '/api/users/1.0',
        '/api/users/{id}/posters',
        '/api/users/\N{ARABIC-INDIC DIGIT ONE}',
        '/api/tokens/1',
    ],
)
@pytest.mark.parametrize('method', ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
def test_unknown_urls_return_404_without_redirect(anonymous, url, method):
    response = anonymous.open(url.format(id=1), method=method, json={})
    assert (response.status_code, response.json) == (404, {'error': 'Not Found'})
    assert 'Location' not in response.headers


BODIES = [
    ('POST', '/api/users', JSON),
    ('PUT', '/api/users/{id}', JSON),
    ('PATCH', '/api/users/{id}', 'application/merge-patch+json'),
]


@pytest.fixture(params=BODIES, ids=lambda body: body[0])
def send_body(request, app, quick_login):
    """Return a function that sends a body and checks that a rejected one changes nothing."""
    ana = quick_login('ana')
    method, url, right = request.param

    def send(data, content_type=right, **others):
        before = dump_rows(app)
        response = ana.open(url.format(id=ana.id), method=method, data=data, content_type=content_type, **others)
        assert response.status_code < 400 or dump_rows(app) == before
        return response

    return send


NOT_JSON = [
    None,
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/vnd.api+json',
    PROBLEM,
    'json',
    '*/*',
    'application/json, text/plain',
]
MALFORMED = [
    b'',
    b' ',
    b'{',
    b'}',
    b'{]',
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a"}',
    b'{}{}',
    b'{} x',
    b'nul',
    b'{"a":01}',
    b'x',
]
NO_OBJECTS = [b'[]', b'[{}]', b'null', b'true', b'0', b'1.5', b'"{}"', b'""', b'[["username", "x"]]']


def test_non_json_body_returns_415(send_body):
    for content_type in NOT_JSON:
        response = send_body(b'{}', content_type)
        assert (response.status_code, response.json['error']) == (415, 'Unsupported Media Type'), content_type


def test_body_without_content_type_returns_415(send_body):
    assert send_body(None, None).status_code == 415


def test_put_and_patch_have_their_own_media_types(quick_login):
    ana = quick_login('ana')
    url = f'/api/users/{ana.id}'
    assert ana.put(url, data=b'{}', content_type='application/merge-patch+json').status_code == 415
    rejected = ana.patch(url, json={})
    assert (rejected.status_code, rejected.headers['Accept-Patch']) == (415, 'application/merge-patch+json')


@pytest.mark.parametrize('suffix', ['; charset=utf-8', ';charset=UTF-8', '; x=y', ' ;'])
def test_content_type_parameters_do_not_matter(quick_login, suffix):
    ana = quick_login('ana')
    response = ana.put(f'/api/users/{ana.id}', data=b'{}', content_type=f'Application/JSON{suffix}')
    assert response.status_code == 200


@pytest.mark.parametrize('bodies', [MALFORMED, NO_OBJECTS], ids=['malformed', 'no object'])
def test_malformed_json_and_non_objects_return_400(send_body, bodies):
    for data in bodies:
        response = send_body(data)
        assert (response.status_code, list(response.json)) == (400, ['error', 'message']), data


def test_oversized_body_returns_413(send_body, settings):
    limit = settings.max_body_bytes
    response = send_body(b'{}'.ljust(limit + 1))
    assert (response.status_code, response.json) == (413, {'error': PHRASES[413]})
    assert send_body(b'{}'.ljust(limit)).status_code in (200, 400)


def test_uniqueness_messages_have_no_errors_field(anonymous, make_user):
    make_user('ana')
    sent = {'username': 'ana', 'email': 'ana@example.com', 'password': 'another fine password'}
    response = anonymous.post('/api/users', json=sent)
    assert response.data == b'{"error":"Bad Request","message":"please use a different username"}'


# Server errors


@pytest.mark.parametrize(
    ('where', 'method', 'url'),
    [
        ('api.routes.users.get_user', 'GET', '/api/users/0'),
        ('api.routes.users.list_users', 'GET', '/api/users'),
        ('api.routes.users.list_followers', 'GET', '/api/users/0/followers'),
        ('api.routes.users.register_user', 'POST', '/api/users'),
        ('api.routes.users.get_user', 'POST', '/api/users'),
        ('api.routes.users.update_account', 'PUT', '/api/users/{id}'),
        ('api.routes.users.get_user', 'PUT', '/api/users/{id}'),
        ('api.routes.tokens.revoke_token', 'DELETE', '/api/tokens'),
        ('api.http.auth.find_caller', 'GET', '/api/users'),
    ],
)
def test_unhandled_exception_returns_500_and_changes_nothing(app, quick_login, monkeypatch, where, method, url):
    ana = quick_login('ana')
    before = dump_rows(app)
    monkeypatch.setattr(where, fail)
    sent = {'username': 'bea', 'email': 'bea@example.com', 'password': 'another fine password'}
    for accept, body in ((JSON, b'{"error":"Internal Server Error"}'), (PROBLEM, None), (BROWSER, None)):
        response = ana.open(url.format(id=ana.id), method=method, json=sent, headers={'Accept': accept})
        assert response.status_code == 500
        assert body in (None, response.data)
        everything = f'{response.headers}{response.text}'
        for internal in (SECRET, 'RuntimeError', 'Traceback', 'api.', '.py', 'sqlalchemy', 'SELECT'):
            assert internal not in everything
    assert dump_rows(app) == before
    monkeypatch.undo()
    assert ana.get('/api/users').status_code == 200


@pytest.mark.parametrize('accept', [JSON, PROBLEM, BROWSER])
@pytest.mark.parametrize(
    ('method', 'url', 'headers'),
    [
        ('GET', '/api/users', UNKNOWN_TOKEN),
        ('PUT', '/api/users/1', UNKNOWN_TOKEN),
        ('POST', '/api/tokens', {'Authorization': 'Basic YW5hOng='}),
        ('POST', '/api/users', {}),
    ],
)
def test_database_outage_returns_503_with_retry_after(without_database, method, url, headers, accept):
    sent = {'username': 'bea', 'email': 'bea@example.com', 'password': 'another fine password'}
    response = without_database.open(url, method=method, json=sent, headers=headers | {'Accept': accept})
    assert response.status_code == 503
    assert int(response.headers['Retry-After']) > 0
    assert response.mimetype == (PROBLEM if accept == PROBLEM else JSON)
    if accept != PROBLEM:
        assert response.data == b'{"error":"Service Unavailable"}'
    for internal in ('database', 'sqlite', 'psycopg', 'nowhere', '127.0.0.1'):
        assert internal not in response.text
