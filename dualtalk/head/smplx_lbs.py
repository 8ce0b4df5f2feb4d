"""Linear blend skinning by smplx, for FLAME files. No other module imports smplx.

smplx has a licence for non-commercial use, as FLAME's files do, so it is an optional extra. The open head does not
need it.
"""

from torch import Tensor

from dualtalk.errors import SetupError
from dualtalk.head.lbs import LbsFunctions


def smplx_lbs() -> LbsFunctions:
    """Import smplx and return its functions.

    Raises
    ------
    SetupError
        smplx is not installed.
    """
    try:
        from smplx.lbs import batch_rigid_transform, batch_rodrigues, blend_shapes
    except ImportError as error:
        raise SetupError(
            "FLAME files need smplx, which is not installed (its licence is non-commercial); "
            "pip install 'dualtalk[flame]', or use the open head"
        ) from error

    def joint_transforms(matrices: Tensor, joints_m: Tensor, parents: Tensor) -> Tensor:
        _, relative_to_rest = batch_rigid_transform(matrices, joints_m, parents)
        return relative_to_rest

    return LbsFunctions(blend_shapes, batch_rodrigues, joint_transforms)
