"""The comparison report: a short title for many systems, and a selection of the systems to show."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from dualtalk.evaluation.baselines import GROUND_TRUTH
from dualtalk.evaluation.curves import CURVE_FRAMES, QUANTITIES, TransitionCurve, WorstTransition
from dualtalk.evaluation.registry import METRICS
from dualtalk.evaluation.runner import Evaluation, SystemResult
from dualtalk.metrics.bootstrap import Estimate
from dualtalk.webpages.comparison_report import write_comparison
from dualtalk.webpages.comparison_stills import Strip

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NAMES = tuple(f"system {number}, of a name that is far too long for any row of the page" for number in range(8))
# Six systems are visible initially: these five, and the first of the three that are never best.
EVER_BEST = (1, 2, 3, 5, 7)
INITIALLY_VISIBLE = {NAMES[number] for number in (0, *EVER_BEST)}


def evaluation_of(names) -> Evaluation:
    """Values are 1 or 2: the better one depends on the measure, and the winner on the measure's position."""
    winners = [EVER_BEST[place % len(EVER_BEST)] for place in range(len(METRICS))]
    frames = np.linspace(0, 1, CURVE_FRAMES)
    rows = []
    for number, name in enumerate((*names, GROUND_TRUTH)):
        better = [number == winner for winner in winners]
        figures = {
            measure.name: Estimate(2.0 - ((measure.direction == "higher") != is_better), np.nan, np.nan, 1)
            for measure, is_better in zip(METRICS, better, strict=True)
        }
        if name == GROUND_TRUTH:
            figures = dict.fromkeys(figures, Estimate(1.0, np.nan, np.nan, 1))
        curve = TransitionCurve(frames + number, frames + number - 1, frames + number + 1, 2, 2)
        curves = {"turn onset": dict.fromkeys(QUANTITIES, curve)}
        rows.append(SystemResult(name, None if name == GROUND_TRUTH else "partner-given", figures, curves, ()))
    return Evaluation(tuple(rows), (), (), "open", people=2, frames=500, dialogues=1)


def written(names, path) -> str:
    events = [{"name": name, "events": [["nod", 1.0, 2.0]]} for name in (GROUND_TRUTH, *names)]
    person = {"speaker": 1, "own": [[0, 4]], "partner": [], "transitions": [], "rows": events}
    moment = WorstTransition(1.0, "tea", 0, "turn onset", 50)
    picture = np.zeros((8, 20, 3), np.uint8)
    write_comparison(
        evaluation_of(names),
        path,
        timelines=[{"clip": "tea", "durationS": 10.0, "people": [person]}],
        strips=[Strip(name, moment, (-0.4, -0.2, 0.0, 0.2, 0.4), picture) for name in names],
        run={},
    )
    return path.read_text()


def test_title_names_few_systems_and_counts_many(tmp_path):
    for names, title in (
        (("near", "<far>"), "near, &lt;far&gt; – evaluation"),
        (NAMES, "8 systems compared – evaluation"),
    ):
        page = written(names, tmp_path / "report.html")
        assert re.search(r"<title>(.*)</title>", page)[1] == title


def opened_in_browser(page: str, script: str, folder) -> dict:
    """Open the page and run `script`, which fills `found`; the page must not write to the console."""
    output = "const out = document.createElement('pre'); out.id = 'out'; out.textContent = JSON.stringify(found);"
    element = f"<script>{{ const found = {{}}; {script} {output} document.body.replaceChildren(out); }}</script>"
    path = folder / "asked.html"
    path.write_text(page.replace("</body>", f"{element}</body>"))
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *(f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--timeout=20000"),
        *("--virtual-time-budget=2000", "--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="out">([^<]+)</pre>', done.stdout)
    assert found, "the page did not load"
    return json.loads(found[1])


STATE_SCRIPT = """
const texts = (all, of) => [...document.querySelectorAll(all)].filter(one => one.checkVisibility()).map(of);
const buttons = [...document.querySelectorAll("#systems button")];
const state = () => ({
  pressed: buttons.filter(one => one.ariaPressed === "true").map(one => one.textContent),
  legend: texts("#curves-legend .entry", one => one.textContent),
  lines: curves.map(plot => plot.chart.series.filter(one => one.width === 2).map(one => one.stroke())),
  events: texts("#rasters .names div", one => one.textContent),
  strips: texts("#strips figure b", one => one.textContent),
  colours: texts("#systems button i", one => getComputedStyle(one).borderTopColor),
  table: texts("#table .name", one => one.textContent),
  plotted: texts("#plots figure:first-child .names div", one => one.textContent),
  clipped: texts(".entry, .name, .names div", one => one.scrollWidth > one.clientWidth).filter(Boolean).length,
});
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_reader_selects_the_systems_to_show(tmp_path):
    page = written(NAMES, tmp_path / "report.html")
    script = "found.first = state(); buttons[4].click(); buttons[1].click(); found.then = state();"
    found = opened_in_browser(page, STATE_SCRIPT + script, tmp_path)
    for state, expected in (
        (found["first"], INITIALLY_VISIBLE),
        (found["then"], INITIALLY_VISIBLE - {NAMES[1]} | {NAMES[4]}),
    ):
        in_order = [name for name in NAMES if name in expected]
        assert state["pressed"] == state["strips"] == in_order
        assert state["legend"] == [*in_order, GROUND_TRUTH]
        assert state["events"] == ["speaks", "partner speaks", GROUND_TRUTH, *in_order]
        assert {len(set(lines)) for lines in state["lines"]} == {7}
        assert state["table"] == state["plotted"] == [*NAMES, GROUND_TRUTH]
        assert state["clipped"] == 0
    assert found["first"]["colours"] == found["then"]["colours"]
    assert len(set(found["first"]["colours"])) == len(NAMES)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_all_of_six_systems_are_shown(tmp_path):
    found = opened_in_browser(
        written(NAMES[:6], tmp_path / "report.html"), STATE_SCRIPT + "found.first = state();", tmp_path
    )
    assert found["first"]["pressed"] == found["first"]["strips"] == list(NAMES[:6])
