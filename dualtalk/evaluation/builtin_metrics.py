"""Definitions of the package's own metrics; one definition stands for the same measure of each part, kind or role.

`docs/metrics.md` has a table of them, written by `python -m dualtalk.evaluation.metric_docs`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from dualtalk.metrics.dualtalk_benchmark import CLUSTERS, DISPLAY_SCALE
from dualtalk.metrics.turn_transitions import ROLES, TRANSITION_KINDS

Direction = Literal["lower", "higher", "one", "ground truth"]
PARTS = tuple(CLUSTERS)
PART_UNITS = {"expression": "sd", "jaw": "rad", "head": "rad"}
POWERS = {10.0: "10⁻¹", 1e2: "10⁻²", 1e3: "10⁻³"}
OURS = "ours"

# Values of the placeholders in names and groups.
AXES: dict[str, tuple[str, ...]] = {"part": PARTS, "kind": TRANSITION_KINDS, "role": ROLES}


@dataclass(frozen=True)
class Definition:
    """One measure, of each part, kind of transition or role that its name has a placeholder for.

    Attributes
    ----------
    name, group : str
        May hold {part}, {kind} and {role}.
    formula : str
    unit : str
        Base unit; {unit} stands for the unit of the part.
    direction : Direction
        As of `Metric`.
    ideal : float or None
    source : str
    display : (float, str) or None
        Display scale and display unit.
    published_scale : str
        Name in `DISPLAY_SCALE` of a metric that published tables scale part by part.
    """

    name: str
    group: str
    formula: str
    unit: str = ""
    direction: Direction = "lower"
    ideal: float | None = 0.0
    source: str = OURS
    display: tuple[float, str] | None = None
    published_scale: str = ""

    @property
    def axes(self) -> tuple[str, ...]:
        """Placeholders of the name, the slowest first."""
        return tuple(axis for axis in ("kind", "role", "part") if f"{{{axis}}}" in self.name)

    def expanded(self) -> Iterator[dict[str, Any]]:
        """Fields of each `Metric`."""
        for values in product(*(AXES[axis] for axis in self.axes)):
            at = dict(zip(self.axes, values, strict=True))
            part = at.get("part", "")
            unit = self.unit.format(unit=PART_UNITS.get(part, ""))
            scale, display_unit = self.display or (1.0, unit)
            if self.published_scale:
                scale = DISPLAY_SCALE[self.published_scale][part]
                display_unit = f"{POWERS[scale]} {unit}".strip() if scale != 1 else unit
            yield {
                "name": self.name.format(**at),
                "group": self.group.format(**at),
                "formula": self.formula,
                "unit": unit,
                "direction": self.direction,
                "ideal": self.ideal,
                "source": self.source,
                "display_scale": scale,
                "display_unit": display_unit,
            }


def _benchmark() -> list[Definition]:
    peng = "Peng et al. 2025 (DualTalk)"
    group, further = "DualTalk benchmark", "DualTalk benchmark, further metrics"
    return [
        Definition("FD {part}", group, "|m1 − m2|² + tr(S1 + S2 − 2 (S1 S2)^½) of the clip's frames", "{unit}²",
                   source="Heusel et al. 2017, eq. 6", published_scale="FD"),
        Definition("P-FD {part}", group, "FD of the joint vectors [partner, own motion]", "{unit}²", source=peng,
                   published_scale="P-FD"),
        Definition("MSE {part}", group, "mean squared error over frames and coefficients", "{unit}²", source=peng,
                   published_scale="MSE"),
        Definition("SID {part}", group,
                   "entropy of the prediction's visits to k-means clusters of the ground truth (k = 40, 10, 10)",
                   "bit", "ground truth", None, "Ng et al. 2022"),
        Definition("rPCC {part}", group, "|r(ground truth, partner) − r(prediction, partner)| of flattened motion",
                   source=peng, published_scale="rPCC"),
        Definition("SID as released {part}", further,
                   "SID with clusters of the prediction and visits of the ground truth", "bit", "higher", None,
                   peng),
        Definition("STS {part}", further, "√(Σ (Δground truth − Δprediction)² / 0.1)", "{unit}", source=peng),
        Definition("variance {part}", further, "variance over time, mean over coefficients", "{unit}²",
                   "ground truth", None, peng),
        Definition("diversity {part}", further, "mean distance of 100 random frames to 100 others (seeded)",
                   "{unit}", "ground truth", None, peng),
    ]  # fmt: skip


def _lips_and_mesh() -> list[Definition]:
    group = "Lip sync and mesh error"
    meshtalk, codetalker = "Richard et al. 2021 (MeshTalk)", "Xing et al. 2023 (CodeTalker)"
    sync = "Chae-Yeon et al. 2025"
    lve = "√(mean over frames of the largest |v − u|² of all lip vertices)"
    deviation = "mean |std over time − ground truth's std over time|"
    mm, hundredth = (1e3, "mm"), (1e2, "10⁻² rad")
    return [
        Definition("LVE", group, lve, "m", source=meshtalk, display=mm),
        Definition("LVE speaking", group, f"{lve}, while speaking", "m", source=meshtalk, display=mm),
        Definition("LVE listening", group, f"{lve}, while listening", "m", source=meshtalk, display=mm),
        Definition("FDD", group, f"{deviation} of upper-face vertices", "m", source=codetalker,
                   display=(1e5, "10⁻² mm")),
        Definition("JDD", group, f"{deviation} of the jaw rotation", "rad", source=codetalker, display=hundredth),
        Definition("PDD", group, f"{deviation} of the head rotation", "rad", source=codetalker, display=hundredth),
        Definition("MTM", group, "mean |time offset| of matched extrema of lip aperture", "s", source=sync,
                   display=(1e3, "ms")),
        Definition("SLCC error", group, "|r(loudness, lip aperture) − ground truth's|, while speaking",
                   source=sync),
        Definition("bilabial closure rate", group, "share of p, b, m with lips ≤ 2 mm apart at their centre",
                   "share", "ground truth", None),
        Definition("silence closure rate", group, "share of frames ≥ 0.3 s from own speech with lips ≤ 2 mm apart",
                   "share", "ground truth", None),
    ]  # fmt: skip


def _listener() -> list[Definition]:
    group = "Listener response and synchrony"
    react, boker = "Song et al. 2023 (REACT)", "Boker et al. 2002; Bernieri & Rosenthal 1991"
    matched = "matched one to one at temporal IoU ≥ 0.5"
    return [
        Definition("FRCorr", group, "concordance correlation, mean over coefficients", "", "higher", 1.0, react),
        Definition("FRDist", group, "DTW distance per step, equal weight for each part", source=react),
        Definition("FRSyn", group, "mean |lag| of the largest correlation with the partner, over coefficients",
                   "s", "ground truth", None, react),
        Definition("synchrony vs. surrogate", group,
                   "windowed lagged r of head speeds, minus that with a partner of another dialogue", "",
                   "ground truth", None, boker),
        Definition("head events F1", group, f"F1 of nods and shakes, {matched}", "", "higher", 1.0),
        Definition("head events timing", group,
                   f"mean |start − ground truth's start|, doubled if early; {matched}", "s"),
        Definition("face events F1", group, f"F1 of smiles, laughs, frowns, surprise, {matched}", "", "higher",
                   1.0),
    ]  # fmt: skip


def _samples() -> list[Definition]:
    group = "Samples"
    return [
        Definition("best of N MSE {part}", group,
                   "smallest MSE of N samples, mean over choices; N: fewest samples of any stochastic system",
                   "{unit}²", source="Gupta et al. 2018", published_scale="MSE"),
        Definition("CRPS {part}", group, "E|x − y| − ½ E|x − x'|; samples x ≠ x', ground truth y", "{unit}",
                   source="Ferro 2014"),
        Definition("coverage ratio {part}", group,
                   "share of varying values in the range of n samples, over (n − 1) / (n + 1)", "", "one", 1.0),
        Definition("sample diversity ratio {part}", group,
                   "mean RMS difference of two samples over mean RMS error of one", "", "one", 1.0),
    ]  # fmt: skip


def _turn_taking() -> list[Definition]:
    at, timing, by_role = "At {kind}", "Timing of mouth, nods and blinks", "By role"
    lag, rate = "time from {} until the lips pass 30 % of their usual aperture", (60.0, "1/min")
    opening, closing = lag.format("speech onset"), lag.format("speech offset")
    steady = "mean in the windows of all transitions over the mean outside"
    return [
        Definition("{kind}: {part} speed ratio", at, "mean speed over ground truth's, in windows of 1 s", "",
                   "one", 1.0),
        Definition("{kind}: {part} jerk ratio", at, "mean third difference over ground truth's, in windows of 1 s",
                   "", "one", 1.0),
        Definition("{kind}: {part} peak jerk ratio", at, "largest jerk of each window over ground truth's", "",
                   "one", 1.0),
        Definition("{kind}: {part} error", at, "mean squared error, in windows of 1 s", "{unit}²"),
        Definition("{kind}: {part} FD", at, "FD of the frames in windows of 1 s", "{unit}²"),
        Definition("mouth open lag error", timing, f"mean |lag − ground truth's|; lag: {opening}", "s"),
        Definition("mouth open lag", timing, f"mean {opening}", "s", "ground truth", None),
        Definition("mouth close lag error", timing, f"mean |lag − ground truth's|; lag: {closing}", "s"),
        Definition("mouth close lag", timing, f"mean {closing}", "s", "ground truth", None),
        Definition("mouth speed in silence", timing, "mean |change of lip aperture| ≥ 0.3 s from own speech",
                   "m/s", "ground truth", None, display=(1e3, "mm/s")),
        Definition("nod rate", timing, "nods that begin while not speaking", "1/s", "ground truth", None,
                   display=rate),
        Definition("nod–pause phase locking (PPC)", timing,
                   "pairwise phase consistency of nods in the partner's rhythm of pauses", "", "ground truth",
                   None, "Vinck et al. 2010"),
        Definition("nod phase error", timing, "|mean phase − ground truth's|", "rad"),
        Definition("blink rate at turn ends", timing, "blinks in windows of 1 s", "1/s", "ground truth", None,
                   display=rate),
        Definition("blink rate elsewhere", timing, "blinks outside these windows", "1/s", "ground truth", None,
                   display=rate),
        Definition("{part} error transition/steady-state ratio", timing, steady, "", "lower", None),
        Definition("{part} speed transition/steady-state ratio", timing, steady, "", "ground truth", None),
        Definition("{role}: {part} error", by_role, "mean squared error in that role", "{unit}²"),
        Definition("{role}: {part} FD", by_role, "FD of the frames in that role", "{unit}²"),
        Definition("{role}: {part} speed ratio", by_role, "mean speed over ground truth's, in that role", "",
                   "one", 1.0),
    ]  # fmt: skip


DEFINITIONS: tuple[Definition, ...] = (
    *_benchmark(),
    *_lips_and_mesh(),
    *_listener(),
    *_samples(),
    *_turn_taking(),
)
