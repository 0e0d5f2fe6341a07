"""Health checks for load balancers and monitoring."""

from flask import Blueprint

from api.http.responses import response
from api.queries.health import ping
from api.schemas.health import HealthSchema

health = Blueprint('health', __name__)


@health.get('/livez')
@response(HealthSchema)
def alive() -> dict[str, str]:
    """Check whether the process is running

    Uses no other service. If it fails, restart the process.
    """
    return {'status': 'ok'}


@health.get('/readyz')
@response(HealthSchema)
def ready() -> dict[str, str]:
    """Check whether the server can process requests

    Queries the database. If it fails, send requests to another instance until it succeeds.
    """
    ping().scalar()
    return {'status': 'ok'}
