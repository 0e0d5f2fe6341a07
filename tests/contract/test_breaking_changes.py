"""Tests that every breaking change of the API is declared."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli.openapi import openapi_commands
from api.openapi_diff import releases
from api.openapi_diff.releases import changelog, check_breaks

ADVICE = 'declare it in docs/contract/breaks.txt, below a line `# <why it has to be>`'


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with one released document, and a current one that lacks an operation and adds another."""
    monkeypatch.setattr(releases, 'DOCS', tmp_path)
    (tmp_path / 'contract').mkdir()
    (tmp_path / 'contract' / '2026-01-01.json').write_text(json.dumps(paths('/a', '/b')))
    (tmp_path / 'contract' / 'breaks.txt').write_text('')
    (tmp_path / 'openapi.json').write_text(json.dumps(paths('/b', '/c')))
    return tmp_path


def paths(*urls: str) -> dict[str, Any]:
    operation = {'summary': 'List notes', 'parameters': [], 'responses': {}}
    return {'paths': {url: {'get': operation} for url in urls}}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(openapi_commands, arguments)


def test_every_breaking_change_is_declared() -> None:
    assert check_breaks().undeclared == [], ADVICE


def test_no_declaration_is_outdated() -> None:
    assert check_breaks().outdated == []


def test_diff_fails_until_breaks_are_declared(docs: Path) -> None:
    undeclared = run('diff')
    assert undeclared.exit_code == 1
    assert undeclared.output.startswith('UNDECLARED  GET /a: Removed.\ncompatible  GET /c: New: List notes.\nError: ')
    (docs / 'contract' / 'breaks.txt').write_text('# It was never called.\nGET /a: Removed.\n')
    declared = run('diff')
    assert (declared.exit_code, declared.output.splitlines()[0]) == (0, 'breaking    GET /a: Removed.')
    (docs / 'openapi.json').write_text(json.dumps(paths('/a', '/b')))
    outdated = run('diff')
    assert outdated.exit_code == 1
    assert outdated.output.startswith('outdated    GET /a: Removed.\nError: ')


def test_release_becomes_the_new_baseline(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (docs / 'contract' / 'breaks.txt').write_text('# It was never called.\nGET /a: Removed.\n')
    monkeypatch.setattr('api.cli.openapi.utcnow', lambda: datetime(2026, 2, 3, 4, 5, tzinfo=UTC))
    assert (run('release').exit_code, run('diff').output) == (0, '')
    assert (docs / 'contract' / '2026-02-03.json').read_text() == json.dumps(paths('/b', '/c'))
    assert (docs / 'contract' / 'breaks.txt').read_text() == ''


def test_changelog_lists_the_changes_of_all_releases(docs: Path) -> None:
    (docs / 'contract' / '2026-02-03.json').write_text(json.dumps(paths('/b')))
    assert changelog(paths('/b', '/c')) == [
        (None, [(False, 'GET /c', 'New: List notes.')]),
        ('2026-02-03', [(True, 'GET /a', 'Removed.')]),
        ('2026-01-01', [(False, f'GET {path}', 'New: List notes.') for path in ('/a', '/b')]),
    ]
