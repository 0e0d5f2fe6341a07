"""Where programs look for what there is: the catalogue of APIs (RFC 9727), whom to tell of a hole (RFC 9116)."""

from datetime import timedelta

from flask import Blueprint, Response, current_app

from api.clock import utcnow
from api.edge.headers import SERVICE_LINKS
from api.errors import NotFoundError
from api.schemas.base import json_response

wellknown = Blueprint('wellknown', __name__, url_prefix='/.well-known')

CATALOG = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
OPENAPI = 'application/vnd.oai.openapi+json;version=3.1'
CONTACT_HOLDS_FOR = timedelta(days=180)


@wellknown.get('/api-catalog')
def api_catalog() -> Response:
    url = current_app.config['PUBLIC_URL']
    links = {
        'anchor': f'{url}/api',
        'service-desc': [{'href': f'{url}/apispec.json', 'type': OPENAPI}],
        'service-doc': [{'href': f'{url}/docs', 'type': 'text/html'}],
        'status': [{'href': f'{url}/readyz', 'type': 'application/json'}],
    }
    answer = json_response({'linkset': [links]}, CATALOG)
    answer.headers['Link'] = SERVICE_LINKS
    return answer


@wellknown.get('/security.txt')
def security_txt() -> Response:
    contact = current_app.config['SECURITY_CONTACT']
    if not contact:
        raise NotFoundError
    lines = {
        'Contact': contact,
        'Expires': (utcnow() + CONTACT_HOLDS_FOR).strftime('%Y-%m-%dT00:00:00Z'),
        'Canonical': f'{current_app.config["PUBLIC_URL"]}/.well-known/security.txt',
    }
    return Response(''.join(f'{name}: {value}\n' for name, value in lines.items()), mimetype='text/plain')
