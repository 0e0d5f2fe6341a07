"""The query of the health check."""

from sqlalchemy import literal, select

from api.db.selects import AnySelect, bound_select


@bound_select
def ping() -> AnySelect:
    return select(literal(1).label('answer'))
