"""Results as tables, as JSON and in docs/performance.md."""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks import plot, profiles
from benchmarks.contenders import LIMITS
from support.tables import DATABASES, markdown

DOCS = Path(__file__).parents[1] / 'docs'


BEGIN, END = '<!-- make bench: begin -->', '<!-- make bench: end -->'


IDENTITY = ('mode', 'database', 'scale')


Run = dict[str, Any]


def title(run: Run) -> str:
    how = ', over HTTP' if run['mode'] == 'http' else ''
    return f'{DATABASES[run["database"]]}, {run["users"]:,} users{how}'


def table(run: Run) -> str:
    """Return our milliseconds, the peers as multiples of ours, and ours as multiples of the limits."""
    http = run['mode'] == 'http'
    heads = ['', 'ms', '(a) / ours', '(b) / ours', 'ours / (c) one query', 'ours / (c) in Flask', '(c) bytes, ms']
    rows = [[case['name'], *figures(case)] for case in run['cases']]
    if http:
        heads += ['requests/s: ours', '(a)', '(b)']
        rows = [
            row + [per_second(case, key) for key in ('microblog', 'orm', 'fastapi')]
            for row, case in zip(rows, run['cases'])
        ]
    return markdown(heads, rows)


def figures(case: dict[str, Any]) -> list[str]:
    found = case['contenders']
    return [
        milliseconds(found['microblog']),
        *(spread(found[key]['ratio']) if key in found else '' for key in ('orm', 'fastapi')),
        *(spread([1 / limit for limit in reversed(found[key]['ratio'])]) if key in found else '' for key in LIMITS),
        milliseconds(found['prebuilt']) if 'prebuilt' in found else '',
    ]


def milliseconds(found: dict[str, Any]) -> str:
    value = found['microseconds'] / 1000
    return f'{value:.2f}' if value >= 0.1 else f'{value:.4f}'


def per_second(case: dict[str, Any], key: str) -> str:
    found = case['contenders'].get(key)
    return f'{found["per_second"]:.0f}' if found else ''


def spread(ratio: list[float]) -> str:
    least, middle, most = ratio
    return f'{middle:.2f} ({least:.2f} to {most:.2f})'


def profile(run: Run) -> str:
    """Return a table of microseconds per request by layer."""
    profiled = [case for case in run['cases'] if 'layers' in case]
    names = [name for name in profiles.NAMES if any(case['layers'].get(name) for case in profiled)]
    rows = []
    for case in profiled:
        layers = profiles.microseconds(case)
        backend = case['contenders']['microblog']['backend']
        rows.append([case['name'], *(f'{layers[name]:.0f}' for name in names), f'{backend:.0f}' if backend else ''])
    return markdown(['µs', *names, 'PostgreSQL'], rows) if rows else ''


def save(file: Path, runs: list[Run], versions: dict[str, Any]) -> list[Run]:
    """Add runs to a file, replacing those of the same kind, and return all."""
    kept = json.loads(file.read_text())['runs'] if file.exists() else []
    fresh = {identity(run) for run in runs}
    together = sorted([*(run for run in kept if identity(run) not in fresh), *runs], key=identity)
    file.write_text(json.dumps({'versions': versions, 'runs': together}, indent=1, ensure_ascii=False) + '\n')
    return together


def identity(run: Run) -> tuple[Any, ...]:
    return tuple(run[name] for name in IDENTITY)


def publish(runs: list[Run], versions: dict[str, Any]) -> None:
    together = save(DOCS / 'performance.json', runs, versions)
    called = [run for run in together if run['mode'] == 'call' and run['scale'] == 1]
    (DOCS / 'performance.svg').write_text(plot.svg([(title(run), run['cases']) for run in called]))
    parts = [described(versions), '![CPU time of a request](performance.svg)']
    for run in together:
        parts += [f'### {title(run)}', f'{run["pairs"]} pairs, {run["date"]}.', table(run), profile(run)]
    file = DOCS / 'performance.md'
    section = f'{BEGIN}\n\n' + '\n\n'.join(part for part in parts if part) + f'\n\n{END}'
    file.write_text(re.sub(f'{BEGIN}.*{END}', lambda match: section, file.read_text(), flags=re.DOTALL))


def described(versions: dict[str, Any]) -> str:
    lines = [f'{versions["machine"]}; {versions["databases"]}.', '']
    for environment, packages in versions.items():
        if isinstance(packages, dict):
            listed = ', '.join(f'{name} {number}' for name, number in packages.items())
            lines.append(f'- {environment}: {listed}')
    return '\n'.join(lines)
