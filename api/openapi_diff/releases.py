"""Released documents, which docs/contract/ keeps by their dates, and the breaks that are declared for the next."""

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
    """What came with a release. date: in ISO form; None for what is not released yet."""

    date: str | None
    changes: list[Change]


class Check(NamedTuple):
    """What changed since the last release. undeclared: what breaks without a word. outdated: what is declared only."""

    changes: list[Change]
    undeclared: list[str]
    outdated: list[str]


def changelog(document: Json) -> list[Release]:
    """Everything that led to the document, the newest first."""
    states = [('', EMPTY_DOCUMENT), *released_documents().items(), (None, document)]
    return [Release(name, diff_documents(old, new)) for (_, old), (name, new) in pairwise(states)][::-1]


def check_breaks() -> Check:
    """Holds the committed document against the last release and what is declared."""
    changes = diff_documents(list(released_documents().values())[-1], json.loads((DOCS / 'openapi.json').read_bytes()))
    breaks = [change.line for change in changes if change.breaking]
    declared = declared_breaks((DOCS / 'contract' / 'breaks.txt').read_text())
    return Check(changes, [line for line in breaks if line not in declared], sorted(declared - set(breaks)))


def release(day: date) -> None:
    """Makes the committed document the last release; of a day it is the latest that counts."""
    (DOCS / 'contract' / f'{day}.json').write_bytes((DOCS / 'openapi.json').read_bytes())
    (DOCS / 'contract' / 'breaks.txt').write_text('')


def released_documents() -> dict[str, Json]:
    """The released documents by their dates, the oldest first."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((DOCS / 'contract').glob('*.json'))}


def declared_breaks(text: str) -> set[str]:
    """The lines that follow a reason: `# ...`, up to an empty line. Without a reason nothing is declared."""
    declared, has_reason = set(), False
    for line in text.splitlines():
        if not line or line.startswith('#'):
            has_reason = bool(line)
        elif has_reason:
            declared.add(line)
    return declared
