"""Markdown tables."""

DATABASES = {'sqlite': 'SQLite', 'postgresql': 'PostgreSQL'}


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns are also aligned as plain text."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    rule = ['-' * width for width in widths]
    return '\n'.join(
        '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |' for row in [heads, rule, *rows]
    )
