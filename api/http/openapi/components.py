"""The parts of the document that operations share: errors, headers, and parameters of headers."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from werkzeug.http import HTTP_STATUS_CODES

from api.errors import ApiError
from api.http.errors import ERROR_PAGES, error_body, problem_body
from api.http.headers import HSTS_MAX_AGE, SECURITY_HEADERS
from api.http.idempotency import KEY_HEADER, REPLAYED_HEADER
from api.http.negotiation import PROBLEM
from api.http.openapi.document import DIGEST_HEADER
from api.http.rate_limit.limits import TOKEN_LIMIT
from api.http.request_body import MERGE_PATCH
from api.http.unit_of_work import DRY_RUN
from api.problems import INVALID_FIELDS, PROBLEMS
from api.schemas.base import MAX_URL_LENGTH
from api.schemas.errors import ErrorSchema, ProblemSchema

Json = dict[str, Any]

DESCRIPTIONS = {
    304: 'You have it as it is.',
    400: 'The request does not fit.',
    401: 'No credentials, or none that work.',
    403: 'Not permitted.',
    404: 'There is no such thing.',
    405: 'The URL exists, but not for this method.',
    406: 'You accept no form that there is.',
    409: 'Not as things are.',
    412: 'It has changed.',
    413: 'The body is too large.',
    415: 'The body is of another media type.',
    422: 'The key belongs to another request.',
    429: 'Too often. Try again later.',
    500: 'A fault of ours.',
    503: 'Out of order for a moment. Try again.',
}
ERROR_STATUSES = [status for status in DESCRIPTIONS if status >= 400]
CORS_HEADERS = ('Access-Control-Allow-Origin', 'Access-Control-Expose-Headers')
EXAMPLE_ETAG = '"1f0c9e1a2b3c4d5e6f708192-8a7b6c5d4e3f2a1b0c9d8e7f"'

# name: what it says, an example, and whether an answer that declares it always has it
HEADERS: dict[str, tuple[str, str, bool]] = {
    **{name: ('For browsers.', value, True) for name, value in SECURITY_HEADERS.items()},
    DIGEST_HEADER: (
        'The digest of the contract: while it is the same, so is that.',
        '9f86d081884c7d659a2feaa0c55ad015',
        True,
    ),
    'Deprecation': ('Since when clients should do without the operation.', '@1798761600', False),
    'Sunset': ('When the operation goes.', 'Thu, 01 Jul 2027 00:00:00 GMT', False),
    'Strict-Transport-Security': ('For browsers, over HTTPS.', f'max-age={HSTS_MAX_AGE}', False),
    'Access-Control-Allow-Origin': ('The origin that asks, where the server allows it.', 'https://app.example', False),
    'Access-Control-Expose-Headers': ('What scripts of that origin may read.', 'ETag, Link, Location', False),
    'Cache-Control': ('What caches may do with it.', 'private, no-cache', True),
    'Vary': ('What it depends on beside the URL.', 'Accept, Authorization', True),
    'X-Request-ID': ('By which its line in the logs is found.', '5e6f708192a3b4c5', True),
    'RateLimit-Policy': ('How often within how many seconds, where the server limits.', TOKEN_LIMIT.policy, False),
    'RateLimit': ('How often still, and for how many seconds.', '"token";r=299;t=300', False),
    'ETag': ('For `If-None-Match`, and `If-Match` where the operation takes it.', EXAMPLE_ETAG, True),
    'Link': ('The pages `first`, `prev`, `next` and `last` (RFC 8288).', '</api/users?page=2>; rel="next"', True),
    'Help': ('`help` leads to the kind of failure.', '</problems/not-found>; rel="help"', True),
    'Location': ('The URL of the new resource.', '/api/users/123', True),
    'Content-Disposition': ('The name to keep it under.', 'attachment; filename="microblog.jsonl"', True),
    REPLAYED_HEADER: ('`true` where the answer is that of an earlier request with the key.', 'true', False),
    'Preference-Applied': ('`dry-run` where nothing was kept.', DRY_RUN, False),
    'WWW-Authenticate': ('How to authenticate.', 'Bearer realm="Authentication Required"', True),
    'Basic': ('How to authenticate.', 'Basic realm="Authentication Required"', True),
    'Scope': ('What the token lacks.', 'Bearer error="insufficient_scope", scope="posts:write"', False),
    'Allow': ('The methods that there are.', 'GET, HEAD, OPTIONS', True),
    'Accept-Patch': ('The media type of a patch, where the request was one.', MERGE_PATCH, False),
    'Retry-After': ('After how many seconds to try again.', '120', True),
    'Retry-Soon': ('After how many seconds to try again, where it is that.', '1', False),
}
# No header is longer but `Link`, whose URLs repeat what was asked.
MAX_HEADER_LENGTH = 512
MAX_HTML_LENGTH = 2**16
HEADER_SCHEMAS: dict[str, Json] = {
    DIGEST_HEADER: {'pattern': '^[0-9a-f]{32}$'},
    'Deprecation': {'pattern': '^@[0-9]+$'},
    'ETag': {'pattern': r'^(W/)?"[\x21\x23-\x7e]+"$'},
    'Link': {'maxLength': 4 * MAX_URL_LENGTH},
    REPLAYED_HEADER: {'enum': ['true']},
    'Preference-Applied': {'enum': [DRY_RUN]},
    'Retry-After': {'pattern': '^[0-9]+$'},
    'Retry-Soon': {'pattern': '^[0-9]+$'},
}
# Headers that say one thing here and another there are two components.
HEADER_ALIASES = {'Help': 'Link', 'Basic': 'WWW-Authenticate', 'Scope': 'WWW-Authenticate', 'Retry-Soon': 'Retry-After'}
DOCUMENT_HEADERS = (DIGEST_HEADER, 'Deprecation', 'Sunset')
CACHE_HEADERS = ('Cache-Control', 'Vary')
# Said once, for all answers: each operation would be a long list of them otherwise.
COMMON_HEADERS = (
    *SECURITY_HEADERS,
    'Strict-Transport-Security',
    *CORS_HEADERS,
    *CACHE_HEADERS,
    *DOCUMENT_HEADERS,
    'Preference-Applied',
    'X-Request-ID',
)
RATE_LIMIT_HEADERS = ('RateLimit-Policy', 'RateLimit')
ERROR_HEADERS = {
    401: ('WWW-Authenticate',),
    403: ('Scope',),
    405: ('Allow',),
    409: ('Retry-Soon',),
    415: ('Accept-Patch',),
    429: ('Retry-After',),
    503: ('Retry-After',),
}
UNAUTHORIZED_BASIC = 'UnauthorizedBasic'
# Without examples, which the documentation page would send.
PARAMETERS: dict[str, tuple[str, str, Json]] = {
    'IfNoneMatch': ('If-None-Match', 'An `ETag`: 304 where nothing has changed since.', {}),
    'IfMatch': ('If-Match', 'The `ETag` that GET gave: 412 where somebody changed it since.', {}),
    'IdempotencyKey': (
        KEY_HEADER,
        'Of your making, such as a UUID, another for each request. Sent again with it, within 24 hours, the request is '
        'answered as the first time and not done twice.',
        {'pattern': r'^"?[\x21\x23-\x7e]{1,255}"?$', 'maxLength': 257},
    ),
    'Prefer': (
        'Prefer',
        'With `dry-run` everything is done but kept: the answer is what it would be. Other preferences are ignored.',
        {},
    ),
}


def build_components() -> Json:
    return {
        'schemas': error_schemas(),
        'headers': {
            name: header_component(name, *values) for name, values in HEADERS.items() if name not in COMMON_HEADERS
        },
        'parameters': {name: parameter_component(*values) for name, values in PARAMETERS.items()},
        'responses': {
            'NotModified': not_modified(),
            'PageNotModified': not_modified('Link'),
            **{
                response_name(status): error_response(status, *ERROR_HEADERS.get(status, ()))
                for status in ERROR_STATUSES
            },
            UNAUTHORIZED_BASIC: error_response(401, 'Basic'),
        },
    }


def common_headers() -> Json:
    return {name: header_component(name, *HEADERS[name]) for name in COMMON_HEADERS}


def header_component(name: str, description: str, example: str, required: bool) -> Json:
    schema = {'type': 'string', 'maxLength': MAX_HEADER_LENGTH, **HEADER_SCHEMAS.get(name, {})}
    return {'description': description, 'required': required, 'schema': schema, 'example': example}


def parameter_component(name: str, description: str, schema: Json) -> Json:
    return {'in': 'header', 'name': name, 'description': description, 'schema': {'type': 'string', **schema}}


def header_refs(*names: str) -> Json:
    """References to headers, by the names under which they are sent."""
    return {HEADER_ALIASES.get(name, name): {'$ref': f'#/components/headers/{name}'} for name in names}


def not_modified(*names: str) -> Json:
    return {'description': DESCRIPTIONS[304], 'headers': header_refs('ETag', *names, *RATE_LIMIT_HEADERS)}


def error_response(status: int, *names: str) -> Json:
    """names: the headers that errors of this status have alone."""
    problem = (
        INVALID_FIELDS if status == 400 else next(problem for problem in PROBLEMS.values() if problem.status == status)
    )
    errors = {'email': ['Longer than maximum length 120.']} if problem == INVALID_FIELDS else None
    error = ApiError(problem, errors=errors)
    content: Json = {
        'application/json': {'schema': {'$ref': '#/components/schemas/Error'}, 'example': error_body(error)},
        PROBLEM: {'schema': {'$ref': '#/components/schemas/Problem'}, 'example': problem_body(error, '/api/users')},
    }
    if status in ERROR_PAGES:
        content['text/html'] = {'schema': {'type': 'string', 'maxLength': MAX_HTML_LENGTH}}
    sent_headers = header_refs('Help', *RATE_LIMIT_HEADERS, *names)
    return {'description': DESCRIPTIONS[status], 'content': content, 'headers': sent_headers}


def response_name(status: int) -> str:
    """404 gives NotFound."""
    return ''.join(word for word in HTTP_STATUS_CODES[status].title() if word.isalpha())


def error_schemas() -> Json:
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__.removesuffix('Schema'))
    spec = APISpec('', '', '3.1.0', plugins=[plugin])
    for schema in (ErrorSchema, ProblemSchema):
        spec.components.schema(schema.__name__.removesuffix('Schema'), schema=schema)
    schemas: Json = spec.to_dict()['components']['schemas']
    return schemas
