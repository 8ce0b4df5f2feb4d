"""Random identities: shape coefficients of a head."""

import numpy as np

from dualtalk.core import IDENTITY_COEFFICIENTS

# Only the first components vary, and less than in the population, so that faces look natural.
IDENTITY_SD, IDENTITY_DRAWN = 0.8, 24


def draw_identity(rng: np.random.Generator) -> np.ndarray:
    """Draw (300,) float32 shape coefficients of a natural head."""
    identity = np.zeros(IDENTITY_COEFFICIENTS, np.float32)
    identity[:IDENTITY_DRAWN] = IDENTITY_SD * rng.standard_normal(IDENTITY_DRAWN)
    return identity
