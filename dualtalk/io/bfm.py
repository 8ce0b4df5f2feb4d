"""Files of the Basel face model as Deep3DFaceReconstruction prepares it: `BFM_model_front.mat`.

The file is the user's, like FLAME's: its licence forbids sharing. Source: sicxu/Deep3DFaceRecon_pytorch,
util/load_mats.py (transferBFM09).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int
from scipy.io import loadmat

from dualtalk.errors import InputError

IDENTITIES, EXPRESSIONS, LANDMARKS = 80, 64, 68
ARRAYS = ("meanshape", "idBase", "exBase", "keypoints")


@dataclass(frozen=True, eq=False)
class BaselFaceModel:
    """The mean face, the bases and the landmarks; x to the person's left, y up, z out of the face, decimetres.

    Attributes
    ----------
    mean : (vertex, 3)
    identity : (vertex, 3, 80)
    expression : (vertex, 3, 64)
    landmarks : (68,)
        Indices of the vertices at iBUG's landmarks.
    """

    mean: Float32[np.ndarray, "vertex 3"]
    identity: Float32[np.ndarray, "vertex 3 80"]
    expression: Float32[np.ndarray, "vertex 3 64"]
    landmarks: Int[np.ndarray, "68"]


def read_bfm(path: str | os.PathLike) -> BaselFaceModel:
    """Read a file of the Basel face model.

    Raises
    ------
    InputError
        There is no such file, it is not a MATLAB file, or its arrays are not those of `BFM_model_front.mat`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no Basel face model at {path}")
    try:
        content = loadmat(path, variable_names=ARRAYS)
    except Exception as error:
        # A damaged file can raise almost anything.
        raise InputError(f"{path} is not a readable MATLAB file; wanted BFM_model_front.mat ({error})") from error
    missing = [name for name in ARRAYS if name not in content]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}; wanted BFM_model_front.mat, not 01_MorphableModel.mat"
        )
    arrays = {name: np.asarray(content[name]) for name in ARRAYS}
    count = arrays["meanshape"].size // 3
    wanted = {
        "meanshape": 3 * count,
        "idBase": 3 * count * IDENTITIES,
        "exBase": 3 * count * EXPRESSIONS,
        "keypoints": LANDMARKS,
    }
    for name, size in wanted.items():
        if arrays[name].size != size or not np.issubdtype(arrays[name].dtype, np.number):
            raise InputError(f"{path}: {name} has shape {arrays[name].shape}; is it BFM_model_front.mat?")
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{path}: {name} holds a NaN or infinite value; is the file damaged?")
    landmarks = arrays["keypoints"].ravel().astype(int) - 1
    if landmarks.min() < 0 or landmarks.max() >= count:
        raise InputError(f"{path}: keypoints name vertex {landmarks.max() + 1} of {count}; is the file damaged?")
    mean = arrays["meanshape"].reshape(count, 3).astype(np.float32)
    return BaselFaceModel(
        # Deep3DFaceReconstruction centres the mean face.
        mean=mean - mean.mean(axis=0),
        identity=arrays["idBase"].reshape(count, 3, IDENTITIES).astype(np.float32),
        expression=arrays["exBase"].reshape(count, 3, EXPRESSIONS).astype(np.float32),
        landmarks=landmarks,
    )
