"""What the decorators of a view say of it, for the document and for each other.

APIFairy keeps it with the view, and so do our own decorators; only this module knows how.
"""

from collections.abc import Callable
from typing import Any

from apifairy.decorators import _annotate
from flask import current_app

from api.problems import Problem


def annotate(view: Callable[..., Any], **values: Any) -> None:
    """Says something of a view. Decorators further out see it, too."""
    _annotate(view, **values)


def view_spec(endpoint: str | None) -> dict[str, Any]:
    """What was said of the view; empty where there is none."""
    spec: dict[str, Any] = getattr(current_app.view_functions.get(endpoint or ''), '_spec', {})
    return spec


def annotate_problems(view: Callable[..., Any], *problems: Problem) -> None:
    """Says that the view, or what a decorator puts around it, can fail in these ways."""
    declared = getattr(view, '_spec', {}).get('problems', ())
    annotate(view, problems=(*declared, *problems))


def raises(*problems: Problem) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For views whose action can fail in these ways, beyond what their decorators say."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        annotate_problems(view, *problems)
        return view

    return decorate
