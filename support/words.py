"""Print the lines with words of docs/words-to-avoid.txt, and fail if there are any: `python -m support.words`."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = Path('docs/words-to-avoid.txt')
# They quote the words.
EXEMPT = {WORDS, Path('docs/style.md'), Path('docs/decisions/0016-standard-names.md')}
SUFFIXES = {'.py', '.md', '.html', '.txt', '.js', '.ts', '.sh', '.toml', '.yaml', ''}


def main() -> int:
    phrases = (ROOT / WORDS).read_text().split('\n')
    pattern = re.compile(rf'\b({"|".join(re.escape(phrase) for phrase in phrases if phrase)})\b', re.IGNORECASE)
    listing = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hits = 0
    for path in map(Path, listing.splitlines()):
        if path in EXEMPT or path.suffix not in SUFFIXES or not (ROOT / path).is_file():
            continue
        for number, line in enumerate((ROOT / path).read_text(errors='replace').splitlines(), 1):
            if found := pattern.search(line):
                hits += 1
                print(f'{path}:{number}: "{found[0]}": {line.strip()}')
    return 1 if hits else 0


if __name__ == '__main__':
    sys.exit(main())
