"""The mutations of a source file, and the sample that a seed draws."""

import ast
from pathlib import Path

import pytest

from tests.mutants.mutations import draw, mutations


def mutants_of(source: str) -> set[str]:
    encoded = source.encode()
    return {mutation.apply(encoded).decode() for mutation in mutations('file.py', encoded)}


@pytest.mark.parametrize(
    ('source', 'mutants'),
    [
        ('a < b', {'a <= b'}),
        ('x = a not in b', {'x = a in b'}),
        ('a + b * c', {'a - b * c', 'a + b / c'}),
        ('x = a and b', {'x = a or b', 'x = a', 'x = b'}),
        ('x = not a', {'x = a'}),
        ('if a: b()', {'if not a: b()', 'if a: pass'}),
        ('x = b if a else c', {'x = c if a else b'}),
        ('x = True', {'x = False'}),
        ('x = 3', {'x = 4'}),
        ("x = 'é', 'b'", {"x = 'é~', 'b'", "x = 'é', 'b~'", "x = ('b',)", "x = ('é',)"}),
        ("x = f'a {b + c}'", {"x = f'a ~{b + c}'", "x = f'a {b - c}'"}),
        ('call(a)', {'pass'}),
        ('x = rows.where(a).with_for_update()', {'x = rows.with_for_update()', 'x = rows.where(a)'}),
        ('x = call(a, b=c)', {'x = call(a)'}),
        ('raise Error', {'pass'}),
        ('a[b] = c', {'pass'}),
        ('class A:\n    b = c', {'class A:\n    pass'}),
        ('@a\ndef b(): return c', {'\ndef b(): return c', '@a\ndef b(): return None'}),
        ('def a(b: int = 1) -> int:\n    while b:\n        break', {
            'def a(b: int = 2) -> int:\n    while b:\n        break',
            'def a(b: int = 1) -> int:\n    while not b:\n        break',
            'def a(b: int = 1) -> int:\n    while b:\n        continue',
        }),
    ],
)  # fmt: skip
def test_each_place_is_changed(source: str, mutants: set[str]) -> None:
    assert mutants_of(source) == mutants


@pytest.mark.parametrize(
    'source',
    [
        '"""A docstring."""',
        "x: 'A | None' = None",
        "__all__ = ['a']",
        "log.warning('failed')",
        'if TYPE_CHECKING:\n    x = 1',
        "if __name__ == '__main__':\n    main()",
        "x = cast('A', b)",
        'from a import b',
    ],
)
def test_untestable_code_is_not_mutated(source: str) -> None:
    assert mutants_of(source) <= {'pass'}


def test_all_mutants_are_python() -> None:
    source = Path(ast.__file__).read_bytes()
    for mutation in mutations('ast.py', source)[::50]:
        ast.parse(mutation.apply(source))


def test_a_seed_draws_the_same_mutants() -> None:
    found = mutations('file.py', b'x = [%s]' % b', '.join(b'%d' % number for number in range(100)))
    drawn = [draw(found, 10, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({mutation.start for mutation in drawn[0]}) > 5
