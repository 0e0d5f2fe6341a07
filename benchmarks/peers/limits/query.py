"""A limit with a database: one prepared query authenticates the caller, finds the rows and writes the JSON."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import psycopg

CALLER = """
    SELECT 1 FROM tokens JOIN users ON users.id = tokens.user_id
    WHERE digest = %(digest)s AND expires_at > %(now)s AND disabled_at IS NULL
"""
# Unlike json_build_object and json_agg, row_to_json and array_to_json write no spaces.
MEMBERS = """
    id, username, last_seen, about_me, post_count, follower_count, following_count,
    (SELECT row_to_json(links) FROM (SELECT
        '/api/users/' || id AS self,
        '/api/users/' || id || '/followers' AS followers,
        '/api/users/' || id || '/following' AS following,
        '/api/users/' || id || '/posts' AS posts,
        'https://www.gravatar.com/avatar/' || encode(sha256(lower(email)::bytea), 'hex') || '?d=identicon&s=128'
            AS avatar
    ) AS links) AS _links
"""
ONE = f"""
    SELECT row_to_json(member)::text FROM (SELECT {MEMBERS} FROM users WHERE id = %(id)s) AS member
    WHERE EXISTS ({CALLER})
"""
PAGE = f"""
    WITH total AS MATERIALIZED (SELECT row_count AS items FROM table_counts WHERE table_name = 'users')
    SELECT row_to_json(page)::text FROM (SELECT
        (SELECT array_to_json(array_agg(row_to_json(member))) FROM (
            SELECT {MEMBERS} FROM users ORDER BY id LIMIT %(per_page)s
        ) AS member) AS items,
        (SELECT row_to_json(meta) FROM (SELECT
            1 AS page, %(per_page)s AS per_page, (items - 1) / %(per_page)s + 1 AS total_pages, items AS total_items
        ) AS meta) AS _meta,
        (SELECT row_to_json(links) FROM (SELECT
            '/api/users?page=1&per_page=' || %(per_page)s AS self,
            CASE WHEN items > %(per_page)s THEN '/api/users?page=2&per_page=' || %(per_page)s END AS next,
            NULL AS prev
        ) AS links) AS _links
        FROM total
    ) AS page
    WHERE EXISTS ({CALLER})
"""
here = threading.local()


def cursor() -> psycopg.Cursor[Any]:
    """Return the connection of this thread."""
    if not hasattr(here, 'cursor'):
        url, name = os.environ['DATABASE_URL'].replace('+psycopg', ''), os.environ['APPLICATION_NAME']
        # Plan once: otherwise PostgreSQL plans a query with LIMIT each time for the given number.
        options = '-c timezone=UTC -c plan_cache_mode=force_generic_plan'
        connection = psycopg.connect(url, autocommit=True, application_name=name, options=options)
        here.cursor = connection.cursor(binary=True)
    return here.cursor


def answer(environ: dict[str, Any]) -> bytes | None:
    """Return the JSON, or None if the caller is unknown."""
    token = environ['HTTP_AUTHORIZATION'].removeprefix('Bearer ')
    values: dict[str, Any] = {'digest': hashlib.sha256(token.encode()).digest(), 'now': datetime.now(UTC)}
    _, _, id = environ['PATH_INFO'].removeprefix('/api/').partition('/')
    if id:
        query, values['id'] = ONE, int(id)
    else:
        query, values['per_page'] = PAGE, int(dict(parse_qsl(environ['QUERY_STRING']))['per_page'])
    row = cursor().execute(query, values, prepare=True).fetchone()
    return row[0].encode() if row else None


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = answer(environ)
    line, content = ('200 OK', body) if body else ('401 Unauthorized', b'{}')
    start_response(line, [('Content-Type', 'application/json'), ('Content-Length', str(len(content)))])
    return [content]
