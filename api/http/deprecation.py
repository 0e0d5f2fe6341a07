"""Operations that clients should leave, stated beside a route: `@deprecated(since=date(2027, 1, 1))`.

Its answers say so in the headers Deprecation (RFC 9745) and Sunset (RFC 8594), and so does the document.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from flask import Request, Response
from werkzeug.http import http_date

from api.http.view_spec import annotate, view_spec


def deprecated(*, since: date, sunset: date | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """sunset: the day on which the operation goes, if that is known."""
    headers = {'Deprecation': f'@{int(midnight(since).timestamp())}'}
    notice = f'Deprecated since {since}'
    if sunset:
        headers['Sunset'] = http_date(midnight(sunset))
        notice += f'; it goes on {sunset}'

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        annotate(view, deprecation=headers, deprecation_notice=f'{notice}.')
        return view

    return decorate


def midnight(date_: date) -> datetime:
    return datetime.combine(date_, time(), UTC)


def add_deprecation_headers(request: Request, response: Response) -> None:
    """Not in the decorator, because errors are made above it."""
    if deprecation := view_spec(request.endpoint).get('deprecation'):
        response.headers.update(deprecation)
