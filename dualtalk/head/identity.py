"""Who a head belongs to: identities drawn at random."""

import numpy as np

from dualtalk.core import IDENTITY_COEFFICIENTS

# Identities are drawn from the first components only, and held close to the mean, so that faces stay natural.
IDENTITY_SD, IDENTITY_DRAWN = 0.8, 24


def draw_identity(rng: np.random.Generator) -> np.ndarray:
    """(300,) float32 shape coefficients of a natural head."""
    identity = np.zeros(IDENTITY_COEFFICIENTS, np.float32)
    identity[:IDENTITY_DRAWN] = IDENTITY_SD * rng.standard_normal(IDENTITY_DRAWN)
    return identity
