"""The `Metric` type of the evaluation, and the available metrics: the package's own, then those of plug-ins.

A plug-in is an installed package with an entry point in the group `dualtalk.metrics` that names a `Metric` with a
`compute` function. `dualtalk evaluate` then computes it for every person of every clip, pools it over dialogues,
and writes it to the report, `figures.csv`, `clips.csv` and `evaluation.json` beside the package's own metrics::

    # pyproject.toml of the plug-in
    [project.entry-points."dualtalk.metrics"]
    jaw_range_error = "my_package.metrics:JAW_RANGE_ERROR"

    # my_package/metrics.py
    import numpy as np
    from dualtalk.evaluation.features import MetricInputs
    from dualtalk.evaluation.registry import Metric

    def jaw_range_error(inputs: MetricInputs) -> float:
        ranges = [np.ptp(one.motion.jaw_rotvec_rad[:, 0]) for one in (inputs.prediction, inputs.ground_truth)]
        return abs(float(ranges[0] - ranges[1]))

    JAW_RANGE_ERROR = Metric(
        name="jaw range error", group="My metrics", formula="|range of jaw pitch − ground truth's|",
        unit="rad", direction="lower", ideal=0.0, source="ours", compute=jaw_range_error,
    )

A plug-in that cannot be imported is logged and left out. One whose `compute` raises an exception on a clip has no
value for that clip, and the evaluation's warnings name it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dualtalk.evaluation.builtin_metrics import DEFINITIONS, Direction
from dualtalk.evaluation.features import MetricInputs
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.plugins import Registry

logger = logging.getLogger(__name__)

DIRECTION_TEXT: dict[Direction, str] = {
    "lower": "lower",
    "higher": "higher",
    "one": "nearer to 1",
    "ground truth": "nearer to the ground truth's own",
}


@dataclass(frozen=True)
class Metric:
    """One metric of the evaluation.

    Attributes
    ----------
    name : str
        Unique among all metrics; the column name in tables.
    group : str
        The table in which the report shows it.
    formula : str
        One line for readers.
    unit : str
        Base unit of the values in files; empty if there is none.
    direction : "lower", "higher", "one" or "ground truth"
        Which values are better; "one" and "ground truth": values nearer to 1, or to the ground truth's own value.
    ideal : float or None
        Value of a perfect prediction; None where it depends on the data.
    source : str
        Publication, or "ours".
    display_scale : float
        Reports show the value multiplied by this.
    display_unit : str
        Unit of the scaled value; by default `unit`.
    compute : callable, optional
        Takes `MetricInputs` and returns the value of one person in one clip: a float (the table shows the mean
        over people and clips, without NaN values), or a `WeightedMean` (the table shows the ratio of the sums). It
        must be a module-level function, so that worker processes can import it. Only the package's own metrics,
        which share intermediate results, have none.
    """

    name: str
    group: str
    formula: str
    unit: str
    direction: Direction
    ideal: float | None
    source: str
    display_scale: float = 1.0
    display_unit: str | None = None
    compute: Callable[[MetricInputs], float | WeightedMean] | None = None

    @property
    def displayed_unit(self) -> str:
        """Unit of the scaled value."""
        return self.unit if self.display_unit is None else self.display_unit

    def distance(self, value: float, ground_truth: float) -> float:
        """How far a value is from the best one, to rank systems: smaller is better, NaN stays NaN."""
        if self.direction == "lower":
            return value
        if self.direction == "higher":
            return -value
        return abs(value - (1.0 if self.direction == "one" else ground_truth))

    def measure(self, inputs: MetricInputs) -> WeightedMean:
        """The value of one person in one clip.

        Raises
        ------
        TypeError
            The metric has no `compute`, or it does not return a number.
        """
        if self.compute is None:
            raise TypeError(f"metric {self.name!r} has no compute function")
        value = self.compute(inputs)
        return value if isinstance(value, WeightedMean) else WeightedMean.of([float(value)])


METRICS: tuple[Metric, ...] = tuple(Metric(**fields) for one in DEFINITIONS for fields in one.expanded())
METRIC_NAMES = tuple(metric.name for metric in METRICS)
PLUGINS: Registry[Metric] = Registry("dualtalk.metrics", "metric", {})


def available_metrics() -> tuple[Metric, ...]:
    """The package's own metrics, then those of installed plug-ins.

    An entry point is left out with a logged warning if it cannot be imported, if it is not a `Metric` with a
    `compute` function, or if another metric has the same name.
    """
    found = list(METRICS)
    for entry_point, metric in PLUGINS.items():
        if not isinstance(metric, Metric) or metric.compute is None:
            logger.warning("plug-in %r is left out: it is not a Metric with a compute function", entry_point)
        elif metric.name in {one.name for one in found}:
            logger.warning("plug-in %r is left out: the name %r is taken", entry_point, metric.name)
        else:
            found.append(metric)
    return tuple(found)


def groups_of(metrics: tuple[Metric, ...]) -> tuple[str, ...]:
    """Names of the groups, in order."""
    return tuple(dict.fromkeys(metric.group for metric in metrics))
