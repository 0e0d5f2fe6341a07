"""Deprecated operations, declared on a view: `@deprecated(since=date(2027, 1, 1))`.

Their responses have the headers Deprecation (RFC 9745) and Sunset (RFC 8594), and the OpenAPI document marks them.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from flask import Request, Response
from werkzeug.http import http_date

from api.http.view_spec import annotate, view_spec


def deprecated(*, since: date, sunset: date | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a view as deprecated. sunset: the date of removal, if it is known."""
    headers = {'Deprecation': f'@{int(midnight(since).timestamp())}'}
    notice = f'Deprecated since {since}'
    if sunset:
        headers['Sunset'] = http_date(midnight(sunset))
        notice += f'; it will be removed on {sunset}'

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        annotate(view, deprecation=headers, deprecation_notice=f'{notice}.')
        return view

    return decorate


def midnight(date_: date) -> datetime:
    return datetime.combine(date_, time(), UTC)


def add_deprecation_headers(request: Request, response: Response) -> None:
    """Add the headers of a deprecated view.

    This is an after-request hook because error responses are created outside of the decorator.
    """
    if deprecation := view_spec(request.endpoint).get('deprecation'):
        response.headers.update(deprecation)
