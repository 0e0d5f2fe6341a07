"""The spec of a view: what its decorators declare, for the OpenAPI document and for other decorators.

It is the dict that APIFairy stores in the attribute `_spec` of the view function. Only this module accesses it.
"""

from collections.abc import Callable
from typing import Any

from apifairy.decorators import _annotate
from flask import current_app

from api.problems import Problem


def annotate(view: Callable[..., Any], **values: Any) -> None:
    """Add values to the spec of a view. Outer decorators see them, too."""
    _annotate(view, **values)


def view_spec(endpoint: str | None) -> dict[str, Any]:
    """Return the spec of the view of this endpoint; empty if the endpoint does not exist or its view has no spec."""
    spec: dict[str, Any] = getattr(current_app.view_functions.get(endpoint or ''), '_spec', {})
    return spec


def annotate_problems(view: Callable[..., Any], *problems: Problem) -> None:
    """Add problem types that the view, or a decorator around it, can raise."""
    declared = getattr(view, '_spec', {}).get('problems', ())
    annotate(view, problems=(*declared, *problems))


def raises(*problems: Problem) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a view whose code can raise these problem types, in addition to those of its decorators."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        annotate_problems(view, *problems)
        return view

    return decorate
