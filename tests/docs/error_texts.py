# SPDX-License-Identifier: Apache-2.0
"""Whether the texts that docs/errors.md explains are those of the library: error_texts.py <root> [page]."""

import re
import sys
from pathlib import Path

SHORTEST = 6  # characters of a piece that is looked for


def literals(folder):
    """All string literals of the sources, adjacent ones joined as the compiler does."""
    found = []
    for file in sorted([*folder.rglob("*.cc"), *folder.rglob("*.h")]):
        text = re.sub(r'"\s*\n\s*"', "", file.read_text())
        found += [literal.replace('\\"', '"') for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)]
    return found


def fragments(text):
    """The parts of an example between values: numbers, types, and what is left out."""
    parts = re.split(r"\.\.\.|'[^']*'|\d[\d.:]*|\b[MN]\b|float(?:16|32)", text)
    return [part.strip(" :;,") for part in parts if len(part.strip(" :;,")) >= SHORTEST]


def is_made_of(fragment, messages):
    """Whether a fragment is pieces of messages, one after the other, since the code puts messages together."""
    while len(fragment) >= SHORTEST:
        length = len(fragment)
        while fragment[:length] not in messages:
            length -= 1
            if length < SHORTEST:
                return False
        fragment = fragment[length:]
    return True


def unknown(page, messages):
    """The fragments of the frequent texts that are not those of `messages`, with their texts."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]*\|$", page.split("## Frequent texts")[1], flags=re.MULTILINE)
    texts = [row for row in rows if row not in ("text", "---")]
    if len(texts) < 20:
        raise SystemExit(f"found {len(texts)} texts, expected 20 or more")
    return [(part, text) for text in texts for part in fragments(text) if not is_made_of(part, messages)]


def main():
    root = Path(sys.argv[1])
    page = Path(sys.argv[2]) if len(sys.argv) > 2 else root / "docs" / "errors.md"
    missing = unknown(page.read_text(), "\n".join(literals(root / "src")))
    for part, text in missing:
        print(f"{page}: no message of the library has '{part}' ({text})")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
