"""Every measure that an evaluation prints: its family, unit, what is wanted of it, and where it comes from.

The table of `docs/metrics.md` is made of this list: `python -m dualtalk.evaluation.registry` prints it.
"""

from dataclasses import dataclass
from typing import Literal

from dualtalk.metrics.dualtalk_benchmark import PRINTED_SCALE
from dualtalk.metrics.roles import ROLES, TRANSITION_KINDS

Wanted = Literal["lower", "higher", "one", "reference"]
PARTS = ("expression", "jaw", "head")
UNIT = {"expression": "sd", "jaw": "rad", "head": "rad"}
OURS = "ours"
TENTHS = {10.0: "10⁻¹", 1e2: "10⁻²", 1e3: "10⁻³"}


@dataclass(frozen=True)
class Measure:
    """One row of figures.

    Attributes
    ----------
    name : str
    family : str
        Which table it stands in.
    formula : str
    unit : str
        As printed, after `scale`.
    wanted : "lower", "higher", "one" or "reference"
        Which way is better; "one" and "reference": nearer to 1, and to the reference's own value.
    perfect : float or None
        Of the reference itself, or of all samples right; None where that depends on the data.
    source : str
    scale : float
        Figures are multiplied by it, as the field's tables are.
    """

    name: str
    family: str
    formula: str
    unit: str
    wanted: Wanted
    perfect: float | None
    source: str
    scale: float = 1.0

    def distance(self, value: float, reference: float) -> float:
        """How far a value is from what is wanted; less is better, and NaN stays NaN."""
        if self.wanted == "lower":
            return value
        if self.wanted == "higher":
            return -value
        return abs(value - (1.0 if self.wanted == "one" else reference))


def _squared(unit: str) -> str:
    return f"{unit}²"


def _benchmark() -> list[Measure]:
    dualtalk = "Peng et al. 2025 (DualTalk)"
    rows: list[tuple] = [
        ("FD", "|m1 − m2|² + tr(S1 + S2 − 2 (S1 S2)^½) of the clip's frames", _squared, "lower", 0.0,
         "Heusel et al. 2017, eq. 6"),
        ("P-FD", "FD of [partner, own] against [partner, predicted]", _squared, "lower", 0.0, dualtalk),
        ("MSE", "mean over frames and coefficients of the squared error", _squared, "lower", 0.0, dualtalk),
        ("SID", "entropy of the prediction's visits to k-means clusters of the reference (k = 40, 10, 10)", "bit",
         "reference", None, "Ng et al. 2022"),
        ("rPCC", "|r(reference, partner) − r(prediction, partner)| of flattened motion", "", "lower", 0.0,
         dualtalk),
    ]  # fmt: skip
    more: list[tuple] = [
        ("SID as released", "the same with clusters of the prediction and visits of the reference", "bit",
         "higher", None, dualtalk),
        ("STS", "√(Σ (Δreference − Δprediction)² / 0.1)", str, "lower", 0.0, dualtalk),
        ("variance", "mean over coefficients of the variance over time", _squared, "reference", None, dualtalk),
        ("diversity", "mean distance of 100 frames to 100 others, drawn with a seed", str, "reference", None,
         dualtalk),
    ]  # fmt: skip
    made = []
    for family, some in (("Published benchmark", rows), ("Benchmark, further figures", more)):
        for name, formula, unit, wanted, perfect, source in some:
            for part in PARTS:
                scale = float(PRINTED_SCALE.get(name, {}).get(part, 1))
                written = unit if isinstance(unit, str) else unit(UNIT[part])
                if scale != 1:
                    written = f"{TENTHS[scale]} {written}".strip()
                made.append(Measure(f"{name} {part}", family, formula, written, wanted, perfect, source, scale))
    return made


def _skin() -> list[Measure]:
    family = "Lips and skin"
    mesh, talk = "Richard et al. 2021 (MeshTalk)", "Xing et al. 2023 (CodeTalker)"
    sync = "Chae-Yeon et al. 2025"
    lve = "√(mean over frames of the largest |v − u|² of all lip vertices)"
    deviation = "100 · mean |std over time predicted − std over time of the reference|"
    return [
        Measure("LVE", family, lve, "mm", "lower", 0.0, mesh),
        Measure("LVE speaking", family, f"{lve}, own speech", "mm", "lower", 0.0, mesh),
        Measure("LVE listening", family, f"{lve}, partner's speech alone", "mm", "lower", 0.0, mesh),
        Measure("FDD", family, f"{deviation} of upper-face vertices", "10⁻² mm", "lower", 0.0, talk),
        Measure("JDD", family, f"{deviation} of the jaw's rotation", "10⁻² rad", "lower", 0.0, talk),
        Measure("PDD", family, f"{deviation} of the head's rotation", "10⁻² rad", "lower", 0.0, talk),
        Measure("MTM", family, "mean |offset| of matched extrema of mouth opening", "ms", "lower", 0.0, sync),
        Measure("SLCC error", family, "|r(loudness, opening) − the reference's|, own speech", "", "lower", 0.0,
                sync),
        Measure("lips closed at p, b, m", family, "share of p, b, m at whose centre lips are ≤ 2 mm apart",
                "share", "reference", None, OURS),
        Measure("lips closed in silence", family, "share of frames 0.3 s from speech with lips ≤ 2 mm apart",
                "share", "reference", None, OURS),
    ]  # fmt: skip


def _listening() -> list[Measure]:
    family = "Listening and togetherness"
    react, boker = "Song et al. 2023 (REACT)", "Boker et al. 2002; Bernieri & Rosenthal 1991"
    events = "matched one to one at temporal IoU ≥ 0.5"
    return [
        Measure("FRCorr", family, "concordance correlation, mean over coefficients", "", "higher", 1.0, react),
        Measure("FRDist", family, "dynamic time warping's distance a step, parts weighted alike", "", "lower", 0.0,
                react),
        Measure("FRSyn", family, "mean over coefficients of |lag| of best correlation with the partner", "s",
                "reference", None, react),
        Measure("synchrony above chance", family,
                "windowed lagged r of head speeds, less that with a partner of another dialogue", "", "reference",
                None, boker),
        Measure("head events F1", family, f"2 matched / all nods and shakes, {events}", "", "higher", 1.0, OURS),
        Measure("head events timing", family, f"mean |start − reference's|, early twice; {events}", "s", "lower",
                0.0, OURS),
        Measure("face events F1", family, f"2 matched / all smiles, laughs, frowns, surprise, {events}", "",
                "higher", 1.0, OURS),
    ]  # fmt: skip


def _samples() -> list[Measure]:
    least = "least MSE of N samples, mean over choices; N: the fewest that any sampling system has"
    score = "mean |x − y| − ½ mean |x − x'| over values; samples x ≠ x', reference y"
    inside = "share of values, of what moves, within the range of n samples, over (n − 1) / (n + 1)"
    spread = "mean RMS difference of two samples over mean RMS error of one"
    rows: list[tuple] = [
        ("CRPS", score, UNIT, "lower", 0.0, "Ferro 2014"),
        ("coverage ratio", inside, {}, "one", 1.0, OURS),
        ("sample diversity ratio", spread, {}, "one", 1.0, OURS),
    ]
    made = []
    for part in PARTS:
        scale = float(PRINTED_SCALE["MSE"][part])
        unit = f"{TENTHS[scale]} {_squared(UNIT[part])}"
        name = f"best of N MSE {part}"
        made.append(Measure(name, "Samples", least, unit, "lower", 0.0, "Gupta et al. 2018", scale))
    return made + [
        Measure(f"{name} {part}", "Samples", formula, units.get(part, ""), wanted, perfect, source)
        for name, formula, units, wanted, perfect, source in rows
        for part in PARTS
    ]


def _at_transitions() -> list[Measure]:
    made = []
    for kind in TRANSITION_KINDS:
        family = f"Around: {kind}"
        where = "in windows of 1 s"
        for part in PARTS:

            def row(what: str, formula: str, unit: str, wanted: Wanted, perfect: float) -> Measure:
                return Measure(f"{kind}: {part} {what}", family, formula, unit, wanted, perfect, OURS)  # noqa: B023

            made += [
                row("speed ratio", f"mean speed over the reference's, {where}", "", "one", 1.0),
                row("jerk ratio", f"mean third difference over the reference's, {where}", "", "one", 1.0),
                row("sharpest jerk ratio", "largest jerk of each window over the reference's", "", "one", 1.0),
                row("error", f"mean squared error, {where}", _squared(UNIT[part]), "lower", 0.0),
                row("FD", f"FD of the frames {where}", _squared(UNIT[part]), "lower", 0.0),
            ]  # fmt: skip
    return made


def _by_role() -> list[Measure]:
    made = []
    for role in ROLES:
        for part in PARTS:
            for what, formula, unit, wanted, perfect in (
                ("error", "mean squared error", _squared(UNIT[part]), "lower", 0.0),
                ("FD", "FD of the frames", _squared(UNIT[part]), "lower", 0.0),
                ("speed ratio", "mean speed over the reference's", "", "one", 1.0),
            ):
                name = f"{role}: {part} {what}"
                made.append(Measure(name, "By role", f"{formula} in that role", unit, wanted, perfect, OURS))
    return made


def _answers() -> list[Measure]:
    family = "Mouth, nods and blinks in turn-taking"
    steady = "mean inside the windows of all transitions over the mean outside"
    made = [
        Measure(f"{part} {what}, transition to steady", family, steady, "", wanted, None, OURS)
        for part in PARTS
        for what, wanted in (("error", "lower"), ("speed", "reference"))
    ]
    lag = "until lips pass 30 % of their usual way"
    return [
        Measure("mouth open lag error", family, f"mean |lag − reference's|; lag from speech onset {lag}", "s",
                "lower", 0.0, OURS),
        Measure("mouth open lag", family, f"mean time from speech onset {lag}", "s", "reference", None, OURS),
        Measure("mouth close lag error", family, f"mean |lag − reference's|; lag from the end of speech {lag}",
                "s", "lower", 0.0, OURS),
        Measure("mouth close lag", family, f"mean time from the end of speech {lag}", "s", "reference", None,
                OURS),
        Measure("mouth speed in silence", family, "mean |change of opening| 0.3 s from own speech", "mm/s",
                "reference", None, OURS),
        Measure("nods a minute", family, "nods that begin while not speaking", "1/min", "reference", None, OURS),
        Measure("nods locked to the partner's pauses", family, "pairwise phase consistency of nods and pauses", "",
                "reference", None, "Vinck et al. 2010"),
        Measure("phase of nods, error", family, "|mean phase − the reference's|", "rad", "lower", 0.0, OURS),
        Measure("blinks a minute around turn ends", family, "blinks in windows of 1 s", "1/min", "reference", None,
                OURS),
        Measure("blinks a minute elsewhere", family, "blinks outside them", "1/min", "reference", None, OURS),
        *made,
    ]  # fmt: skip


MEASURES: tuple[Measure, ...] = (
    *_benchmark(),
    *_skin(),
    *_listening(),
    *_samples(),
    *_at_transitions(),
    *_answers(),
    *_by_role(),
)
NAMES = tuple(measure.name for measure in MEASURES)
POSITION = {name: index for index, name in enumerate(NAMES)}
FAMILIES = tuple(dict.fromkeys(measure.family for measure in MEASURES))
WANTED_TEXT = {"lower": "lower", "higher": "higher", "one": "near 1", "reference": "near the reference's own"}


def markdown() -> str:
    """The list as tables, one a family."""
    lines = []
    for family in FAMILIES:
        lines += [
            f"## {family}",
            "",
            "| measure | formula | unit | better | perfect | source |",
            "|---|---|---|---|---|---|",
        ]
        for one in MEASURES:
            if one.family == family:
                perfect = "the reference's own" if one.perfect is None else f"{one.perfect:g}"
                cells = one.name, one.formula, one.unit, WANTED_TEXT[one.wanted], perfect, one.source
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
