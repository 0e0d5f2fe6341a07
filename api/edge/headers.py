"""Headers that every answer has."""

from typing import Any

from flask import Request

from api.edge.application import Answer
from api.edge.bodies import MERGE_PATCH

SECURITY = {
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
}
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SERVICE_LINKS = ', '.join(
    f'<{url}>; rel="{relation}"'
    for relation, url in {
        'service-desc': '/apispec.json',
        'service-doc': '/docs',
        'api-catalog': '/.well-known/api-catalog',
    }.items()
)
PAGES = {'docs', 'pages', 'problems'}
# Those whose answers hold credentials, or everything that somebody has.
NEVER_KEPT = {'tokens', 'personal', 'account'}
OF_DATA = [*SECURITY.items(), ('Vary', 'Accept, Authorization')]
OF_PAGES = [*(SECURITY | {'Content-Security-Policy': DOCS_POLICY}).items(), ('Vary', 'Accept')]
OF_OTHERS = [*SECURITY.items(), ('Vary', 'Accept')]
# What scripts of other origins may send, and read of answers.
CORS_OPTIONS: dict[str, Any] = {
    'methods': ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    'allow_headers': ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'If-None-Match', 'Prefer'],
    'expose_headers': [
        'API-Contract',
        'Deprecation',
        'ETag',
        'Idempotency-Replayed',
        'Link',
        'Location',
        'Preference-Applied',
        'RateLimit',
        'RateLimit-Policy',
        'Retry-After',
        'Sunset',
        'WWW-Authenticate',
        'X-Request-ID',
    ],
    'max_age': 600,
}
ONE_YEAR = 365 * 24 * 3600


def secure(request: Request, answer: Answer) -> None:
    headers = answer.headers
    answer.add_unchecked(*(OF_DATA if is_data(request) else OF_PAGES if request.blueprint in PAGES else OF_OTHERS))
    if request.endpoint in ('docs.home', 'docs.page'):
        headers['Link'] = SERVICE_LINKS
    if request.method == 'OPTIONS' and 'PATCH' in headers.get('Allow', ''):
        headers['Accept-Patch'] = MERGE_PATCH
    if answer.status_code == 204:
        headers.remove('Content-Type')
    if request.is_secure:
        headers['Strict-Transport-Security'] = f'max-age={ONE_YEAR}'


def control_caches(request: Request, answer: Answer) -> None:
    """Credentials and errors are never kept. Data may be, by its reader alone, who asks each time if it is true.

    Nobody can ask about what has neither a tag nor a date, so that keeping it is of no use.
    """
    if answer.status_code >= 400 or request.blueprint in NEVER_KEPT:
        answer.headers['Cache-Control'] = 'no-store'
    elif 'Cache-Control' not in answer.headers:
        has_validator = 'ETag' in answer.headers or 'Last-Modified' in answer.headers
        kept = 'private, no-cache' if is_data(request) else 'no-cache'
        answer.add_unchecked(('Cache-Control', kept if has_validator else 'no-store'))


def is_data(request: Request) -> bool:
    return request.path.startswith('/api/')
