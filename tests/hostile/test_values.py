"""Values of a wrong type or scale in the Python API: one line that names the value."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.attack

# jaxtyping checks annotations while pytest runs, and would refuse these values before the code does: so they are
# tried in a process of its own, as a user's program is.
SCRIPT = """
import sys
import numpy as np
from pyannote.core import Segment, Timeline
import dualtalk
from dualtalk.core import DUALTALK56, Conversation, HeadMotion, Participant
from dualtalk.errors import DualTalkError

quiet, speech = np.zeros(6400, np.float32), Timeline([Segment(0, 0.2)])
still = np.zeros((10, 62), np.float32)
talk = Conversation(Participant(quiet, speech), Participant(quiet, speech))
CASES = {
    "int16 audio": lambda: Participant(quiet.astype(np.int16), speech),
    "audio on a 16-bit scale": lambda: Participant(quiet + 20_000, speech),
    "audio of NaN": lambda: Participant(quiet * np.nan, speech),
    "audio of two channels": lambda: Participant(np.zeros((2, 640), np.float32), speech),
    "audio in a list": lambda: Participant([0.0] * 640, speech),
    "complex audio": lambda: Participant(quiet.astype(complex), speech),
    "speech in a list": lambda: Participant(quiet, [(0, 1)]),
    "motion in an array": lambda: Participant(quiet, speech, still),
    "audio of two lengths": lambda: Conversation(Participant(quiet, speech), Participant(quiet[:640], speech)),
    "whole numbers": lambda: HeadMotion(still.astype(int), "open"),
    "nested lists": lambda: HeadMotion(still.tolist(), "open"),
    "another width": lambda: HeadMotion(still[:, :61], "open"),
    "NaN": lambda: HeadMotion(still * np.nan, "open"),
    "degrees": lambda: HeadMotion(still + 57, "open"),
    "1e300 as double": lambda: HeadMotion(still.astype(float) + 1e300, "open"),
    "identity of 10": lambda: HeadMotion(still, "open", identity=np.zeros(10, np.float32)),
    "identity of 1e30": lambda: HeadMotion(still, "open", identity=np.full(300, 1e30, np.float32)),
    "an unknown space": lambda: HeadMotion(still, "../etc"),
    "a layout by name": lambda: HeadMotion(still, "open", "full62"),
    "valid of another length": lambda: HeadMotion(still, "open", valid=np.ones(9, bool)),
    "valid of numbers": lambda: HeadMotion(still, "open", valid=np.ones(10)),
    "seed of 1.5": lambda: dualtalk.simulate(talk, seed=1.5),
    "seed of -1": lambda: dualtalk.simulate(talk, seed=-1),
    "no seed": lambda: dualtalk.simulate(talk, seed=None),
    "no model": lambda: dualtalk.simulate(talk, model=None),
    "no head": lambda: dualtalk.simulate(talk, head=None),
    "an unknown mode": lambda: dualtalk.simulate(talk, mode="loud"),
}
for name, call in CASES.items():
    try:
        call()
        print(f"{name}: accepted")
    except DualTalkError as error:
        if len(str(error).splitlines()) != 1:
            print(f"{name}: {error!r}")
    except Exception as error:
        print(f"{name}: {error!r}")
assert HeadMotion(still.astype(float), "open").coefficients.dtype == np.float32
assert Participant(quiet.astype(float), speech).audio.dtype == np.float32
assert HeadMotion(still[:, :56].copy(), "flame", DUALTALK56).frames == 10
print(len(CASES), "cases")
"""


def test_values_of_a_wrong_type_or_scale_are_refused_in_one_line():
    finished = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert finished.stdout == "27 cases\n", finished.stdout + finished.stderr
