"""An SVG plot of CPU per request: a row for each case, a dot for each contender, on a logarithmic scale."""

import math
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, ROW, HEAD = 900, 250, 30, 24, 58
COLOURS = {'microblog': '#0b6e4f', 'orm': '#c0392b', 'fastapi': '#e08e0b', 'query': '#2c5aa0'}
NAMES = {
    'microblog': 'Microblog API',
    'orm': '(a) Flask, entities',
    'fastapi': '(b) FastAPI, async',
    'query': '(c) one query',
}
Panel = tuple[str, list[dict[str, Any]]]


def svg(panels: list[Panel]) -> str:
    """Return the SVG. panels: title and cases of each panel."""
    scale = Scale([spent for _, cases in panels for case in cases for spent in drawn(case).values()])
    parts, top = [legend()], 40
    for title, cases in panels:
        parts.append(panel(title, cases, scale, top))
        top += HEAD + ROW * len(cases) + 30
    style = '<style>text{font:13px sans-serif;fill:#222}.h{font-weight:bold}.s{font-size:11px;fill:#666}</style>'
    frame = f'<rect width="{WIDTH}" height="{top}" fill="white"/>'
    view = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view}>\n{style}\n{frame}\n' + '\n'.join(parts) + '\n</svg>\n'


class Scale:
    """Return the x coordinate of a number of microseconds."""

    def __init__(self, values: list[float]):
        self.least, self.most = math.log10(min(values) / 1.2), math.log10(max(values) * 1.2)

    def place(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - self.least) / (self.most - self.least)

    def ticks(self) -> list[float]:
        powers = range(math.floor(self.least), math.ceil(self.most) + 1)
        ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return [tick for tick in ticks if self.least <= math.log10(tick) <= self.most]


def drawn(case: dict[str, Any]) -> dict[str, float]:
    """Return the figures without prebuilt responses, which would stretch the scale."""
    return {key: found['microseconds'] for key, found in case['contenders'].items() if key in COLOURS}


def legend() -> str:
    parts = []
    for number, (key, name) in enumerate(NAMES.items()):
        x = 30 + 170 * number
        parts.append(f'<circle cx="{x}" cy="20" r="5" fill="{COLOURS[key]}"/><text x="{x + 10}" y="24">{name}</text>')
    return '\n'.join(parts)


def panel(title: str, cases: list[dict[str, Any]], scale: Scale, top: int) -> str:
    first, bottom = top + HEAD, top + HEAD + ROW * len(cases)
    parts = [f'<text class="h" x="20" y="{top + 20}">{escape(title)}</text>']
    parts.append(f'<text class="s" x="{LEFT}" y="{top + 20}">CPU of a request, ms</text>')
    for tick in scale.ticks():
        x = scale.place(tick)
        parts.append(f'<path d="M{x:.1f} {first - 8}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text class="s" x="{x:.1f}" y="{first - 14}" text-anchor="middle">{tick / 1000:g}</text>')
    for number, case in enumerate(cases):
        y = first + ROW * number + ROW // 2
        dots = {key: scale.place(spent) for key, spent in drawn(case).items()}
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(case["name"])}</text>')
        parts.append(f'<path d="M{min(dots.values()):.1f} {y}H{max(dots.values()):.1f}" stroke="#bbb"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{COLOURS[key]}"/>' for key, x in dots.items()]
    return '\n'.join(parts)
