"""Released documents in docs/contract/, named by date, and the declared breaking changes of the next release."""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from api.openapi_diff.changes import Change, diff_documents
from api.openapi_diff.schemas import Json

DOCS = Path(__file__).parents[2] / 'docs'
EMPTY_DOCUMENT: Json = {'paths': {}}


class Release(NamedTuple):
    """The changes of a release. date: in ISO format, None for unreleased changes."""

    date: str | None
    changes: list[Change]


class Check(NamedTuple):
    """The changes since the last release.

    undeclared: breaking changes without a declaration. outdated: declarations without a breaking change.
    """

    changes: list[Change]
    undeclared: list[str]
    outdated: list[str]


def changelog(document: Json) -> list[Release]:
    """Return the changes of all releases and of the given document, the newest first."""
    states = [('', EMPTY_DOCUMENT), *released_documents().items(), (None, document)]
    return [Release(name, diff_documents(old, new)) for (_, old), (name, new) in pairwise(states)][::-1]


def check_breaks() -> Check:
    """Compare the committed document with the last release and the declared breaking changes."""
    changes = diff_documents(list(released_documents().values())[-1], json.loads((DOCS / 'openapi.json').read_bytes()))
    breaks = [change.line for change in changes if change.breaking]
    declared = declared_breaks((DOCS / 'contract' / 'breaks.txt').read_text())
    return Check(changes, [line for line in breaks if line not in declared], sorted(declared - set(breaks)))


def release(day: date) -> None:
    """Store the committed document as the release of a day, replacing one of the same day; clear the declarations."""
    (DOCS / 'contract' / f'{day}.json').write_bytes((DOCS / 'openapi.json').read_bytes())
    (DOCS / 'contract' / 'breaks.txt').write_text('')


def released_documents() -> dict[str, Json]:
    """Return the released documents by date, the oldest first."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((DOCS / 'contract').glob('*.json'))}


def declared_breaks(text: str) -> set[str]:
    """Return the lines between a reason, `# ...`, and the next empty line. Lines without a reason are ignored."""
    declared, has_reason = set(), False
    for line in text.splitlines():
        if not line or line.startswith('#'):
            has_reason = bool(line)
        elif has_reason:
            declared.add(line)
    return declared
