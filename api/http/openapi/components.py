"""The components of the OpenAPI document that operations share: errors, headers, and header parameters."""

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
    304: 'Not modified.',
    400: 'Invalid request.',
    401: 'Missing or invalid credentials.',
    403: 'Permission denied.',
    404: 'Not found.',
    405: 'Method not allowed at this URL.',
    406: 'No acceptable media type.',
    409: 'Conflict with the current state.',
    412: 'The resource has changed.',
    413: 'The body is too large.',
    415: 'Unsupported media type of the body.',
    422: 'The idempotency key was used for a different request.',
    429: 'Too many requests. Retry later.',
    500: 'Internal server error.',
    503: 'Temporarily unavailable. Retry later.',
}
ERROR_STATUSES = [status for status in DESCRIPTIONS if status >= 400]
CORS_HEADERS = ('Access-Control-Allow-Origin', 'Access-Control-Expose-Headers')
EXAMPLE_ETAG = '"1f0c9e1a2b3c4d5e6f708192-8a7b6c5d4e3f2a1b0c9d8e7f"'

# Name: description, example, and whether a response that declares the header always has it.
HEADERS: dict[str, tuple[str, str, bool]] = {
    **{name: ('Security header for browsers.', value, True) for name, value in SECURITY_HEADERS.items()},
    DIGEST_HEADER: (
        'Digest of the OpenAPI document. It changes when the document changes.',
        '9f86d081884c7d659a2feaa0c55ad015',
        True,
    ),
    'Deprecation': ('When the operation was or will be deprecated (RFC 9745).', '@1798761600', False),
    'Sunset': ('When the operation will be removed (RFC 8594).', 'Thu, 01 Jul 2027 00:00:00 GMT', False),
    'Strict-Transport-Security': ('Security header for browsers, over HTTPS.', f'max-age={HSTS_MAX_AGE}', False),
    'Access-Control-Allow-Origin': ('The requesting origin, if it is allowed.', 'https://app.example', False),
    'Access-Control-Expose-Headers': ('Headers that scripts of that origin may read.', 'ETag, Link, Location', False),
    'Cache-Control': ('How caches may store the response.', 'private, no-cache', True),
    'Vary': ('Request headers that the response depends on.', 'Accept, Authorization', True),
    'X-Request-ID': ('The id of the request in the server logs.', '5e6f708192a3b4c5', True),
    'RateLimit-Policy': ('Requests (`q`) allowed per `w` seconds, for each limit.', TOKEN_LIMIT.policy, False),
    'RateLimit': ('Requests left (`r`) and seconds until the window ends (`t`).', '"token";r=299;t=300', False),
    'ETag': ('For `If-None-Match`, and `If-Match` if the operation supports it.', EXAMPLE_ETAG, True),
    'Link': ('URLs of the pages `first`, `prev`, `next`, `last` (RFC 8288).', '</api/users?page=2>; rel="next"', True),
    'Help': ('The relation `help` leads to the page of the problem type.', '</problems/not-found>; rel="help"', True),
    'Location': ('The URL of the new resource.', '/api/users/123', True),
    'Content-Disposition': ('The suggested file name.', 'attachment; filename="microblog.jsonl"', True),
    REPLAYED_HEADER: ('`true` if this is the stored response to an earlier request.', 'true', False),
    'Preference-Applied': ('`dry-run` if the request was simulated and nothing was saved.', DRY_RUN, False),
    'WWW-Authenticate': ('How to authenticate.', 'Bearer realm="Authentication Required"', True),
    'Basic': ('How to authenticate.', 'Basic realm="Authentication Required"', True),
    'Scope': ('The scope that the token lacks.', 'Bearer error="insufficient_scope", scope="posts:write"', False),
    'Allow': ('The methods that the URL supports.', 'GET, HEAD, OPTIONS', True),
    'Accept-Patch': ('The media type for PATCH, in the response to one.', MERGE_PATCH, False),
    'Retry-After': ('Seconds to wait before a retry.', '120', True),
    'Retry-Soon': ('Seconds to wait before a retry, if a retry can succeed.', '1', False),
}
# Only `Link` may be longer, because its URLs repeat the query of the request.
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
# A header with several meanings has a component for each.
HEADER_ALIASES = {'Help': 'Link', 'Basic': 'WWW-Authenticate', 'Scope': 'WWW-Authenticate', 'Retry-Soon': 'Retry-After'}
DOCUMENT_HEADERS = (DIGEST_HEADER, 'Deprecation', 'Sunset')
CACHE_HEADERS = ('Cache-Control', 'Vary')
# Documented once for all responses; otherwise every operation would list them.
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
# Parameters have no examples, because the documentation page would send them.
PARAMETERS: dict[str, tuple[str, str, Json]] = {
    'IfNoneMatch': ('If-None-Match', 'An `ETag`. Returns 304 if the resource has not changed.', {}),
    'IfMatch': ('If-Match', 'The `ETag` from GET. Returns 412 if the resource has changed.', {}),
    'IdempotencyKey': (
        KEY_HEADER,
        'A unique key chosen by the client, such as a UUID. Retrying with it within 24 hours returns the original '
        'response.',
        {'pattern': r'^"?[\x21\x23-\x7e]{1,255}"?$', 'maxLength': 257},
    ),
    'Prefer': (
        'Prefer',
        'With `dry-run`: validate and simulate the request; nothing is saved. Other preferences are ignored.',
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
    """Return references to header components, by the names under which the headers are sent."""
    return {HEADER_ALIASES.get(name, name): {'$ref': f'#/components/headers/{name}'} for name in names}


def not_modified(*names: str) -> Json:
    return {'description': DESCRIPTIONS[304], 'headers': header_refs('ETag', *names, *RATE_LIMIT_HEADERS)}


def error_response(status: int, *names: str) -> Json:
    """Return the response component of an error status. names: the headers that are specific to the status."""
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
    """Return the component name of a status: 404 gives `NotFound`."""
    return ''.join(word for word in HTTP_STATUS_CODES[status].title() if word.isalpha())


def error_schemas() -> Json:
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__.removesuffix('Schema'))
    spec = APISpec('', '', '3.1.0', plugins=[plugin])
    for schema in (ErrorSchema, ProblemSchema):
        spec.components.schema(schema.__name__.removesuffix('Schema'), schema=schema)
    schemas: Json = spec.to_dict()['components']['schemas']
    return schemas
