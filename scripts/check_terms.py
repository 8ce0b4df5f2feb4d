"""Check identifiers and prose against the word list in `scripts/terms.toml`.

    python scripts/check_terms.py            # lint: one line for each use of a banned term; exit status 1 if any
    python scripts/check_terms.py --count    # occurrences of words per 1,000 lines

A term of kind "identifier" is looked for among the words of Python names: `heard_frames` and `HeardFrames` both
contain "heard". A term of kind "prose" is a regular expression that is matched against comments, docstrings,
strings, the names of tests, and Markdown. An exception names a file, a term and a reason; one that no longer
matches anything is an error, so that the list stays short.
"""

import argparse
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
TERMS = Path(__file__).with_name("terms.toml")
COUNTED_ROOMS = ("models", "training", "simulation", "data")
# Words of the field and words to avoid; a trailing * counts every word that begins so.
COUNTED_WORDS = (
    *("hear|heard", "moved", "seen", "told"),
    *("embed*", "condition*", "kv_?cache", "predict*", "pretrained"),
)


@dataclass(frozen=True)
class Term:
    """A banned term: `pattern` for identifiers is words joined by `_`, for prose a regular expression."""

    pattern: str
    kind: str
    use: str

    def __post_init__(self) -> None:
        if self.kind not in ("identifier", "prose"):
            raise ValueError(f"{self.pattern!r} is of kind {self.kind!r}; wanted identifier or prose")


@dataclass
class WordList:
    """Banned terms, the files to check, and the exceptions: (file pattern, term pattern)."""

    terms: list[Term]
    files: list[str]
    exceptions: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> "WordList":
        """Read a word list.

        Raises
        ------
        ValueError
            A term of unknown kind, or an exception without a reason.
        """
        table = tomllib.loads(path.read_text())
        exceptions = set()
        for one in table.get("exceptions", []):
            if not one.get("reason"):
                raise ValueError(f"the exception for {one['term']!r} in {one['file']} has no reason")
            exceptions.add((one["file"], one["term"]))
        return cls([Term(**one) for one in table["terms"]], table["files"], exceptions)


@dataclass(frozen=True)
class Use:
    """One use of a banned term."""

    file: str
    line: int
    text: str
    term: Term

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text!r}; use instead: {self.term.use}"


def check(root: Path, words: WordList) -> list[str]:
    """All findings under `root`, one line each: uses of banned terms, then exceptions that match nothing."""
    needed, found = set(), []
    paths = {path for pattern in words.files for path in root.glob(pattern) if path.is_file()}
    for path in sorted(paths):
        name = path.relative_to(root).as_posix()
        for use in uses(name, path.read_text(), words.terms):
            matching = {one for one in words.exceptions if fnmatch(name, one[0]) and one[1] == use.term.pattern}
            needed |= matching
            if not matching:
                found.append(str(use))
    unused = sorted(words.exceptions - needed)
    return [*found, *(f"{file}: no use of {term!r} is left; remove its exception" for file, term in unused)]


def uses(name: str, text: str, terms: list[Term]) -> Iterator[Use]:
    """Uses of banned terms in one file, Python or Markdown."""
    fragments = _python(text) if name.endswith(".py") else [(1, text, "prose")]
    for line, fragment, kind in fragments:
        for term in terms:
            if term.kind != kind:
                continue
            pattern = rf"(?<![a-z0-9]){term.pattern}(?![a-z0-9])" if kind == "identifier" else term.pattern
            for match in re.finditer(pattern, _words(fragment) if kind == "identifier" else fragment, re.I):
                excerpt = fragment if kind == "identifier" else " ".join(match.group().split())
                yield Use(name, line + fragment[: match.start()].count("\n"), excerpt, term)


def _python(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, text, kind) of every name, comment and string of a Python file."""
    kinds = {tokenize.NAME: "identifier", tokenize.COMMENT: "prose", tokenize.STRING: "prose"}
    kinds |= {getattr(tokenize, "FSTRING_MIDDLE", -1): "prose"}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string.startswith("test_"):
            yield token.start[0], token.string.replace("_", " "), "prose"
        elif token.type in kinds:
            yield token.start[0], token.string, kinds[token.type]


def _words(name: str) -> str:
    """The words of a name, joined by `_`: `HeardFrames` becomes `heard_frames`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def count(root: Path) -> str:
    """A Markdown table of occurrences per 1,000 lines."""
    files = [path for room in COUNTED_ROOMS for path in sorted((root / "dualtalk" / room).rglob("*.py"))]
    text = "\n".join(path.read_text() for path in files)
    lines = text.count("\n") + 1
    rows = [
        f"{len(files)} files, {lines} lines of {', '.join(COUNTED_ROOMS)}",
        "",
        "| word | per 1,000 lines |",
        "|---|---|",
    ]
    for word in COUNTED_WORDS:
        end = r"[a-z]*" if word.endswith("*") else r"(?![a-z])"
        pattern = rf"(?<![a-z])(?:{word.rstrip('*')}){end}"
        rows.append(f"| {word.replace('|', '/')} | {1000 * len(re.findall(pattern, text, re.I)) / lines:.1f} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", action="store_true", help="print occurrences per 1,000 lines instead")
    parser.add_argument("--root", type=Path, default=ROOT, help="the source tree; default: this one")
    options = parser.parse_args()
    if options.count:
        print(count(options.root))
        return 0
    found = check(options.root, WordList.load(TERMS))
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
