"""Retargeting of motion from one head to another preserves its appearance."""

import numpy as np
import pytest

from dualtalk.head import load_head, retarget
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit


@pytest.mark.parametrize("unit", ["mouthSmileLeft", "mouthPucker", "mouthFunnel", "browInnerUp", "cheekPuff"])
def test_retargeting_to_the_same_head_nearly_keeps_the_displacements(unit):
    head = load_head("open")
    units = np.zeros((1, len(ARKIT_UNITS)))
    units[0, ARKIT_UNITS.index(unit)] = 1
    motion = motion_from_arkit(units)
    retargeted = retarget(motion, head, head)
    offset, offset_after = (head.vertices(each)[0] - head.template for each in (motion, retargeted))
    assert np.linalg.norm(offset_after - offset) < 0.25 * np.linalg.norm(offset)


def test_rotations_are_unchanged_and_the_identity_is_reset():
    head = load_head("open")
    motion = motion_from_arkit(np.zeros((2, 52)), np.tile(np.float32([0.1, 0.2, 0.3]), (2, 1)))
    motion.identity[:3] = 1
    retargeted = retarget(motion, head, head)
    np.testing.assert_array_equal(retargeted.head_rotvec_rad, motion.head_rotvec_rad)
    assert not retargeted.identity.any()
