"""Well-known URLs: the API catalog (RFC 9727) and the contact for vulnerability reports (RFC 9116)."""

from datetime import timedelta

from flask import Blueprint, Response, current_app

from api.clock import utcnow
from api.errors import NotFoundError
from api.http.headers import SERVICE_LINKS
from api.schemas.base import json_response

well_known = Blueprint('well_known', __name__, url_prefix='/.well-known')

LINKSET_MEDIA_TYPE = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
OPENAPI_MEDIA_TYPE = 'application/vnd.oai.openapi+json;version=3.1'
CONTACT_LIFETIME = timedelta(days=180)


@well_known.get('/api-catalog')
def api_catalog() -> Response:
    url = current_app.config['PUBLIC_URL']
    links = {
        'anchor': f'{url}/api',
        'service-desc': [{'href': f'{url}/apispec.json', 'type': OPENAPI_MEDIA_TYPE}],
        'service-doc': [{'href': f'{url}/docs', 'type': 'text/html'}],
        'status': [{'href': f'{url}/readyz', 'type': 'application/json'}],
    }
    response = json_response({'linkset': [links]}, LINKSET_MEDIA_TYPE)
    response.headers['Link'] = SERVICE_LINKS
    return response


@well_known.get('/security.txt')
def security_txt() -> Response:
    contact = current_app.config['SECURITY_CONTACT']
    if not contact:
        raise NotFoundError
    lines = {
        'Contact': contact,
        'Expires': (utcnow() + CONTACT_LIFETIME).strftime('%Y-%m-%dT00:00:00Z'),
        'Canonical': f'{current_app.config["PUBLIC_URL"]}/.well-known/security.txt',
    }
    return Response(''.join(f'{name}: {value}\n' for name, value in lines.items()), mimetype='text/plain')
