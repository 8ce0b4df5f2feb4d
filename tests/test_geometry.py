"""Round trips between representations of rotations, for random and tiny angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from dualtalk.geometry import rotations

ROTVECS = arrays(np.float64, (4, 3), elements=st.floats(-1.8, 1.8))


@given(ROTVECS)
def test_rotvec_matrix_round_trip(rotvec_rad):
    matrix = rotations.matrix_from_rotvec(rotvec_rad)
    assert matrix @ matrix.swapaxes(-1, -2) == pytest.approx(np.broadcast_to(np.eye(3), (4, 3, 3)), abs=1e-9)
    again = Rotation.from_matrix(matrix).as_rotvec()
    assert again == pytest.approx(rotvec_rad, abs=1e-7)


def test_small_angles_keep_their_value():
    tiny = np.full((1, 3), 1e-9)
    assert Rotation.from_matrix(rotations.matrix_from_rotvec(tiny)).as_rotvec() == pytest.approx(tiny, rel=1e-6)
