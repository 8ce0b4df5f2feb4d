"""The documentation agrees with the code: drawing of the layers, links, pages of the site."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MARKDOWN = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/*.md"), *ROOT.glob("experiments/*/*.md")]
)


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(path):
    targets = re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL))
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert not missing


def test_the_layer_diagram_agrees_with_the_import_contract():
    script = runpy.run_path(str(ROOT / "scripts" / "draw_layers.py"))
    assert script["PICTURE"].read_text() == script["drawing"](script["layers"]()), "run scripts/draw_layers.py"


def test_every_package_is_described_in_the_architecture_page():
    page = (ROOT / "docs" / "architecture.md").read_text()
    layers = runpy.run_path(str(ROOT / "scripts" / "draw_layers.py"))["layers"]()
    missing = [name for row in layers for name in row if name[0] != "_" and f"| `{name}` |" not in page]
    assert not missing


def test_prose_is_wrapped_at_120_columns():
    long = []
    for path in MARKDOWN:
        prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL).splitlines()
        long += [f"{path.name}: {line}" for line in prose if len(line) > 120 and not line.startswith(("|", "#"))]
    assert not long
