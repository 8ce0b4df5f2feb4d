"""A MkDocs hook: adds the repository's Markdown files outside docs/ to the site and adjusts their links.

README.md becomes the home page; data cards and experiments become pages below `datasets/` and `experiments/`. A
link to a file that has no page, such as LICENSE, becomes plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def pages() -> dict[str, str]:
    """Paths in the repository, and the paths of their pages."""
    found = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    found |= {path.relative_to(ROOT).as_posix(): f"datasets/{path.name}" for path in ROOT.glob("datasets/*.md")}
    found["datasets"] = "datasets/index.md"
    for path in ROOT.glob("experiments/*/README.md"):
        found[path.relative_to(ROOT).as_posix()] = f"experiments/{path.parent.name}.md"
    found["experiments"] = "experiments/index.md"
    found |= {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in ROOT.glob("docs/**/*")
        if path.is_file()
    }
    return found


def title(path: Path) -> str:
    """The first heading of a Markdown file."""
    return next(line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith("# "))


def listing(folder: str, heading: str, entries: dict[str, str]) -> str:
    """An index page of the pages in one folder."""
    lines = [f"# {heading}", ""]
    for source, page in sorted(entries.items()):
        if page.startswith(f"{folder}/") and (ROOT / source).is_file():
            lines.append(f"- [{title(ROOT / source)}]({posixpath.relpath(page, folder)})")
    return "\n".join(lines) + "\n"


def relinked(text: str, source: str, page: str, entries: dict[str, str]) -> str:
    """The text of a file with its links rewritten for its page."""

    def replace(match: re.Match[str]) -> str:
        label, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        if "://" in target or target.startswith("mailto:"):
            return match.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in entries:
            return f"[{label}]({posixpath.relpath(entries[path], posixpath.dirname(page) or '.')}{anchor})"
        if not (ROOT / path).exists():
            raise ValueError(f"{source} links to {target}, which does not exist")
        return label if label.startswith("`") else f"{label} (`{path}`)"

    text = LINK.sub(replace, text)
    return re.sub(r"(!\[[^\]]*\]\()docs/", r"\1", text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    entries = pages()
    for source, page in entries.items():
        if not source.startswith("docs/") and (ROOT / source).is_file():
            text = relinked((ROOT / source).read_text(), source, page, entries)
            files.append(File.generated(config, page, content=text))
    for folder, heading in (("datasets", "Data cards"), ("experiments", "Experiments")):
        files.append(File.generated(config, f"{folder}/index.md", content=listing(folder, heading, entries)))
    return files


def on_page_markdown(markdown: str, page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links of the pages in docs/ that lead outside docs/."""
    source = f"docs/{page.file.src_uri}"
    if not (ROOT / source).is_file():
        return markdown
    return relinked(markdown, source, page.file.src_uri, pages())
