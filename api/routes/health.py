"""For load balancers and monitoring."""

from flask import Blueprint

from api.http.responses import response
from api.queries.health import ping
from api.schemas.health import HealthSchema

health = Blueprint('health', __name__)


@health.get('/livez')
@response(HealthSchema)
def alive() -> dict[str, str]:
    """Tell whether the process runs

    It asks nobody else. Where it fails, restart the process.
    """
    return {'status': 'ok'}


@health.get('/readyz')
@response(HealthSchema)
def ready() -> dict[str, str]:
    """Tell whether requests can be served

    It asks the database. Where it fails, send requests elsewhere for a while.
    """
    ping().scalar()
    return {'status': 'ok'}
