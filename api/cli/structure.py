"""Compare the structure of a database with the models.

Alembic's own comparison ignores primary keys, check constraints and expressions. Here the tables of the models are
created in a scratch database (in memory, or in a schema that is rolled back), and both are reflected in the same way.
"""

import warnings

from sqlalchemy import Connection, Inspector, create_engine, inspect, text

from api.db.base import Base

SCRATCH_SCHEMA = 'microblog_scratch'
VERSION_TABLE = 'alembic_version'


def differences(connection: Connection) -> list[str]:
    """Return a line for each difference: '- ...' exists only in the database, '+ ...' only in the models."""
    database_lines = structure(connection, None)
    model_lines = model_structure(connection)
    return [f'- {line}' for line in sorted(database_lines - model_lines)] + [
        f'+ {line}' for line in sorted(model_lines - database_lines)
    ]


def model_structure(connection: Connection) -> set[str]:
    """Return the structure that the models have on this kind of database."""
    if connection.dialect.name == 'sqlite':
        with create_engine('sqlite://').connect() as scratch:
            Base.metadata.create_all(scratch)
            return structure(scratch, None)
    with connection.begin_nested() as savepoint:
        connection.execute(text(f'CREATE SCHEMA {SCRATCH_SCHEMA}'))
        scratch_connection = connection.execution_options(schema_translate_map={None: SCRATCH_SCHEMA})
        Base.metadata.create_all(scratch_connection)
        lines = structure(scratch_connection, SCRATCH_SCHEMA)
        savepoint.rollback()
    connection.execution_options(schema_translate_map=None)
    return {line.replace(f'{SCRATCH_SCHEMA}.', '') for line in lines}


def structure(connection: Connection, schema: str | None) -> set[str]:
    """Return a line for each column, key, constraint and index."""
    inspector = inspect(connection)
    lines = index_lines(connection, schema)
    with warnings.catch_warnings():
        # `index_lines` reads expression-based indexes.
        warnings.filterwarnings('ignore', 'Skipped unsupported reflection of expression-based index')
        for table in inspector.get_table_names(schema):
            if table != VERSION_TABLE:
                lines |= table_lines(inspector, table, schema)
    return lines


def table_lines(inspector: Inspector, table: str, schema: str | None) -> set[str]:
    lines = {f'{table}: primary key {inspector.get_pk_constraint(table, schema)["constrained_columns"]}'}
    for column in inspector.get_columns(table, schema):
        lines.add(
            f'{table}.{column["name"]}: {column["type"]!r} nullable={column["nullable"]} '
            f'default={column["default"]} identity={column.get("identity")}'
        )
    for key in inspector.get_foreign_keys(table, schema):
        target = f'{key["referred_table"]}{key["referred_columns"]}'
        lines.add(f'{table}: {key["name"]} {key["constrained_columns"]} -> {target} {key["options"]}')
    for unique in inspector.get_unique_constraints(table, schema):
        lines.add(f'{table}: {unique["name"]} unique {unique["column_names"]}')
    for check in inspector.get_check_constraints(table, schema):
        lines.add(f'{table}: {check["name"]} check {check["sqltext"]}')
    return lines


def index_lines(connection: Connection, schema: str | None) -> set[str]:
    """Return the SQL of each index, including expressions, and in SQLite a line for each AUTOINCREMENT table."""
    if connection.dialect.name == 'sqlite':
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        return {' '.join(sql.split()) for (sql,) in rows} | {f'{name}: autoincrement' for (name,) in tables}
    rows = connection.execute(
        text(
            "SELECT replace(indexdef, quote_ident(schemaname) || '.', '') FROM pg_indexes "
            'WHERE schemaname = coalesce(:schema, current_schema()) AND tablename <> :bookkeeping'
        ),
        {'schema': schema, 'bookkeeping': VERSION_TABLE},
    )
    return {sql for (sql,) in rows}
