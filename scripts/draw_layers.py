"""Write `docs/layers.svg`, the drawing of the import layers, from the import-linter contract in pyproject.toml.

python scripts/draw_layers.py
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "layers.svg"
WIDTH, ROW, GAP, MARGIN = 720, 34, 6, 16
# What a group of layers is for, by its lowest layer: colour and label.
GROUPS = {
    "doctor": ("#cfe3f5", "command line"),
    "simulation": ("#fbe6c8", "training and simulation"),
    "metrics": ("#d6ecd2", "pages, rendering, metrics"),
    "animator": ("#f5d9e3", "corpora and training data"),
    "errors": ("#e4e0f3", "types, signals and models"),
}


def layers() -> list[list[str]]:
    """The public packages of each layer, top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    names = [[name.strip().removeprefix("dualtalk.") for name in row.split("|")] for row in rows]
    return [[name for name in row if not name.startswith("_")] for row in names]


def drawing(rows: list[list[str]]) -> str:
    """The SVG: one row of boxes for each layer, coloured by group."""
    height = 2 * MARGIN + len(rows) * (ROW + GAP) - GAP
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        "<title>Import layers of dualtalk: each layer imports only from layers below it</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    group = iter(GROUPS.items())
    last, (colour, label) = next(group)
    first_row, inner = 0, WIDTH - 2 * MARGIN - 190
    for number, names in enumerate(rows):
        y = MARGIN + number * (ROW + GAP)
        width = (inner - GAP * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            x = MARGIN + column * (width + GAP)
            svg.append(f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROW}" rx="5" fill="{colour}"/>')
            svg.append(
                f'<text x="{x + width / 2:.0f}" y="{y + 22}" font-size="15" text-anchor="middle" '
                f'fill="#222">{name}</text>'
            )
        if last in names:
            top, bottom = MARGIN + first_row * (ROW + GAP), y + ROW
            x = MARGIN + inner + 12
            svg.append(f'<path d="M{x} {top} V{bottom}" stroke="{colour}" stroke-width="4"/>')
            svg.append(
                f'<text x="{x + 10}" y="{(top + bottom) / 2 + 5}" font-size="14" fill="#444">{label}</text>'
            )
            first_row = number + 1
            last, (colour, label) = next(group, ("", ("#eeeeee", "")))
    return "\n".join([*svg, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawing(layers()))
    print(PICTURE)
