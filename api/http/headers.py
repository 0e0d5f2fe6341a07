"""Headers of all responses: security, caching and CORS."""

from typing import Any

from flask import Request

from api.http.application import ApiResponse
from api.http.request_body import MERGE_PATCH

SECURITY_HEADERS = {
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
}
HTML_CONTENT_SECURITY_POLICY = (
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
HTML_BLUEPRINTS = {'docs', 'mail_pages', 'problems'}
# Their responses contain credentials or all of a user's data.
NO_STORE_BLUEPRINTS = {'tokens', 'personal_access_tokens', 'account'}
DATA_HEADERS = [*SECURITY_HEADERS.items(), ('Vary', 'Accept, Authorization')]
HTML_HEADERS = [
    *(SECURITY_HEADERS | {'Content-Security-Policy': HTML_CONTENT_SECURITY_POLICY}).items(),
    ('Vary', 'Accept'),
]
OTHER_HEADERS = [*SECURITY_HEADERS.items(), ('Vary', 'Accept')]
# The request headers that scripts of other origins may send, and the response headers that they may read.
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
HSTS_MAX_AGE = 365 * 24 * 3600


def add_security_headers(request: Request, response: ApiResponse) -> None:
    """Add security headers, `Vary`, and the headers that depend on the route or method."""
    headers = response.headers
    response.add_unchecked(
        *(
            DATA_HEADERS
            if is_api_request(request)
            else HTML_HEADERS
            if request.blueprint in HTML_BLUEPRINTS
            else OTHER_HEADERS
        )
    )
    if request.endpoint in ('docs.home', 'docs.page'):
        headers['Link'] = SERVICE_LINKS
    if request.method == 'OPTIONS' and 'PATCH' in headers.get('Allow', ''):
        headers['Accept-Patch'] = MERGE_PATCH
    if response.status_code == 204:
        headers.remove('Content-Type')
    if request.is_secure:
        headers['Strict-Transport-Security'] = f'max-age={HSTS_MAX_AGE}'


def add_cache_control(request: Request, response: ApiResponse) -> None:
    """Add `Cache-Control`.

    Errors and credentials must not be stored. Data may be stored by private caches that revalidate it at each use.
    Responses without a validator cannot be revalidated, so do not store them.
    """
    if response.status_code >= 400 or request.blueprint in NO_STORE_BLUEPRINTS:
        response.headers['Cache-Control'] = 'no-store'
    elif 'Cache-Control' not in response.headers:
        has_validator = 'ETag' in response.headers or 'Last-Modified' in response.headers
        policy = 'private, no-cache' if is_api_request(request) else 'no-cache'
        response.add_unchecked(('Cache-Control', policy if has_validator else 'no-store'))


def is_api_request(request: Request) -> bool:
    return request.path.startswith('/api/')
