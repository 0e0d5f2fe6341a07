"""The layers of a request, defined by the files of their functions."""

from typing import Any

PROFILED_SECONDS = 3.0

DISPATCH, HTTP, AUTH, VALIDATION = 'dispatch', 'http', 'auth', 'validation'
SQLALCHEMY, DRIVER, DUMP, JSON = 'SQLAlchemy', 'driver', 'dump', 'JSON'
NAMES = [DISPATCH, HTTP, AUTH, VALIDATION, SQLALCHEMY, DRIVER, DUMP, JSON, 'other']

# Part of the file path, function name ('' for all), layer. The first match counts.
LAYERS = [
    # SQLAlchemy calls the driver here. sqlite3 is written in C, so this includes all of it.
    ('sqlalchemy/engine/default.py', 'do_execute', DRIVER),
    ('sqlalchemy/engine/default.py', 'do_commit', DRIVER),
    ('sqlalchemy/engine/default.py', 'do_rollback', DRIVER),
    ('sqlalchemy/engine/cursor.py', 'fetchall', DRIVER),
    ('sqlalchemy/engine/cursor.py', 'fetchone', DRIVER),
    ('/psycopg', '', DRIVER),
    ('/sqlalchemy/', '', SQLALCHEMY),
    ('/flask_sqlalchemy/', '', SQLALCHEMY),
    # The driver's cursor is called here, which is written in C for SQLite.
    ('/api/db/statement.py', 'execute', DRIVER),
    ('/api/queries/', '', SQLALCHEMY),
    ('/api/db/', '', SQLALCHEMY),
    ('/api/http/unit_of_work.py', 'read_only', SQLALCHEMY),
    ('/api/http/auth.py', '', AUTH),
    ('/flask_httpauth.py', '', AUTH),
    ('/api/actions/tokens.py', '', AUTH),
    ('/api/actions/users.py', 'touch_last_seen', AUTH),
    ('/api/security/scopes.py', '', AUTH),
    ('/api/actions/', '', SQLALCHEMY),
    ('/api/schemas/base.py', 'encode_json', JSON),
    ('/api/http/request_body.py', 'parse_json_object', JSON),
    ('/api/schemas/collections.py', '', VALIDATION),
    ('/api/schemas/base.py', '_deserialize', VALIDATION),
    ('/api/schemas/base.py', 'load', VALIDATION),
    ('/api/schemas/', '', DUMP),
    ('/api/serialization/', '', DUMP),
    ('/webargs/', '', VALIDATION),
    ('/marshmallow/', '', VALIDATION),
    ('/flask_marshmallow/', '', DUMP),
    ('/api/http/', '', HTTP),
    ('/api/routes/', '', HTTP),
    ('/api/', '', HTTP),
    ('/logging/', '', HTTP),
    ('/werkzeug/', '', DISPATCH),
    ('/flask/', '', DISPATCH),
    ('/apifairy/', '', DISPATCH),
    ('/blinker/', '', DISPATCH),
    ('/benchmarks/peers/calling.py', '', DISPATCH),
]


def microseconds(result: dict[str, Any]) -> dict[str, float]:
    """Return the microseconds per request of each layer, from the result of a case."""
    counts = result['layers']
    total = sum(counts.values())
    process = result['contenders']['microblog']['process']
    return {name: round(process * counts.get(name, 0) / total, 1) for name in NAMES}
