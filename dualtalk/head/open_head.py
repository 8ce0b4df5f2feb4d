"""The open head: bundled, built from CC0 data, and in FLAME's schema. It needs no account and no download.

Expression coefficients 0 to 40 are the ARKit blendshapes that joints do not represent: `jawOpen`, `jawLeft` and
`jawRight` are jaw rotations, and the eight `eyeLook` blendshapes are eye rotations (see `blendshapes.py`).
`scripts/build_open_head/build.py` built the file; its licence is in the same folder.
"""

from functools import cache
from importlib.resources import as_file, files

import numpy as np

from dualtalk.core import EXPRESSION_COEFFICIENTS
from dualtalk.head.blendshapes import EXPRESSION_UNITS
from dualtalk.head.head import Eye
from dualtalk.head.skinned import FlameArrays, SkinnedHead

IDENTITIES, EXPRESSIONS = 300, 100
# FLAME's joint tree: the root, the neck on the root, and the jaw and the eyes on the neck.
PARENTS = np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]])


@cache
def open_head() -> SkinnedHead:
    """Load the bundled head."""
    with as_file(files("dualtalk.head") / "open_head.npz") as path, np.load(path, allow_pickle=False) as archive:
        stored = {key: archive[key] for key in archive.files}
    template = stored["template"]
    directions = np.zeros((*template.shape, IDENTITIES + EXPRESSIONS), np.float32)
    identity = stored["identity"].astype(np.float32)
    units = stored["units"].astype(np.float32)
    directions[..., : len(identity)] = np.moveaxis(identity, 0, -1)
    directions[..., IDENTITIES : IDENTITIES + len(units)] = np.moveaxis(units, 0, -1)
    arrays = FlameArrays(
        v_template=template,
        f=stored["faces"],
        shapedirs=directions,
        posedirs=np.moveaxis(stored["pose_basis"].astype(np.float32).reshape(-1, *template.shape), 0, -1),
        J_regressor=stored["joint_regressor"],
        weights=stored["weights"],
        kintree_table=PARENTS,
    )
    unused = ("",) * (EXPRESSION_COEFFICIENTS - len(EXPRESSION_UNITS))
    left_eye, right_eye = (_eye(template, *span) for span in stored["eyes"].tolist())
    return SkinnedHead(
        name="open",
        space="open",
        arrays=arrays,
        regions=stored["regions"],
        blendshape_names=EXPRESSION_UNITS + unused,
        eyes=(left_eye, right_eye),
        upper_lip=stored["upper_lip"],
        lower_lip=stored["lower_lip"],
    )


def _eye(template: np.ndarray, first: int, last: int) -> Eye:
    ball = template[first:last]
    centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
    return Eye(np.arange(first, last, dtype=np.int32), centre, float(np.ptp(ball[:, 0]) / 2))
