"""The tests that docs/security.md names exist, and its tables match the code."""

import re
from pathlib import Path

from api.http.rate_limit import limits
from api.security.scopes import SCOPES
from support.servers import ROOT

DOCUMENT = (ROOT / 'docs' / 'security.md').read_text()
EXCEPTIONS = {'does not apply', '**not met**', 'the operator', '`make lint`'}
ASVS_REQUIREMENTS = 148  # those of ASVS 5.0.0 that apply to an API with tokens


def section(title: str) -> str:
    return DOCUMENT.partition(f'\n## {title}\n')[2].partition('\n## ')[0]


def table(title: str) -> list[list[str]]:
    """Return the cells of each row of a section's table, without its header."""
    rows = [line.strip('| ').split(' | ') for line in section(title).splitlines() if line.startswith('|')]
    return rows[2:]


def all_tests() -> set[str]:
    files = Path(__file__).parents[1].rglob('test_*.py')
    return {name for file in files for name in re.findall(r'^def (test_\w+)', file.read_text(), re.MULTILINE)}


def test_every_named_test_exists() -> None:
    named = set(re.findall(r'`(test_\w+)`', DOCUMENT))
    assert len(named) > 50
    assert named <= all_tests()


def test_every_requirement_has_a_test_or_reason() -> None:
    requirements = table('ASVS 5.0')
    assert len({id for id, *_ in requirements}) == len(requirements) == ASVS_REQUIREMENTS
    risks = table('OWASP API Security Top 10 (2023)')
    assert [risk.split()[0] for risk, *_ in risks] == [f'API{number}' for number in range(1, 11)]
    for id, how, held_by in requirements + risks:
        assert how
        assert held_by in EXCEPTIONS or re.fullmatch(r'`test_\w+`(, `test_\w+`)*', held_by), id


def test_tables_match_the_code() -> None:
    assert {scope.strip('`'): allows for scope, allows in table('Scopes')} == SCOPES
    stated = {name.strip('`'): allows for name, allows, _ in table('Limits')}
    counted = [limit for limit in vars(limits).values() if isinstance(limit, limits.RateLimit)]
    assert stated == {limit.name: f'{limit.quota} in {limit.window // 60} minutes' for limit in counted}
