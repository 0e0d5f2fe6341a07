"""Whether the database answers."""

from sqlalchemy import literal, select

from api.queries.query import AnySelect, query


@query
def database_answer() -> AnySelect:
    return select(literal(1).label('answer'))
