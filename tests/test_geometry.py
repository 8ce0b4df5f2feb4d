"""Round trips between representations of rotations, for random and tiny angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dualtalk.geometry import rotations

ROTVECS = arrays(np.float64, (4, 3), elements=st.floats(-1.8, 1.8))


@given(ROTVECS)
def test_rotvec_matrix_round_trip(rotvec_rad):
    matrix = rotations.matrix_from_rotvec(rotvec_rad)
    assert matrix @ matrix.swapaxes(-1, -2) == pytest.approx(np.broadcast_to(np.eye(3), (4, 3, 3)), abs=1e-9)
    again = rotations.matrix_from_rotvec(rotations.rotvec_from_matrix(matrix))
    assert again == pytest.approx(matrix, abs=1e-9)


@given(ROTVECS)
def test_sixd_round_trip(rotvec_rad):
    matrix = rotations.matrix_from_rotvec(rotvec_rad)
    assert rotations.matrix_from_sixd(rotations.sixd_from_matrix(matrix)) == pytest.approx(matrix, abs=1e-9)


def test_small_angles_keep_their_value():
    tiny = np.full((1, 3), 1e-9)
    assert rotations.rotvec_from_matrix(rotations.matrix_from_rotvec(tiny)) == pytest.approx(tiny, rel=1e-6)
