"""Writes the table of metrics in `docs/metrics.md`: `python -m dualtalk.evaluation.metric_docs` prints it."""

from dualtalk.evaluation.builtin_metrics import DEFINITIONS, Definition
from dualtalk.evaluation.registry import DIRECTION_TEXT

PER = {"part": "part", "kind": "kind of transition", "role": "role"}


def markdown() -> str:
    """One table; a row is one measure, with the parts, kinds and roles it is reported for."""
    lines = [
        "| Metric | Per | Formula | Unit | Better | Ideal | Source |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(one)) + " |" for one in DEFINITIONS]
    return "\n".join(lines) + "\n"


def _cells(one: Definition) -> tuple[str, ...]:
    name = one.name.replace("{kind}: ", "").replace("{role}: ", "").replace("{part} ", "").replace(" {part}", "")
    unit = one.unit.replace("{unit}", "u")
    if one.display:
        unit = f"{unit} ({one.display[1]})"
    ideal = "ground truth's" if one.ideal is None else f"{one.ideal:g}"
    per = ", ".join(PER[axis] for axis in one.axes)
    return name, per, one.formula, unit, DIRECTION_TEXT[one.direction], ideal, one.source


if __name__ == "__main__":
    print(markdown(), end="")
