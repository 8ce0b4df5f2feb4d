"""Types of the arrays that metrics take. Sizes are free: each metric checks which arrays have the same frames."""

import numpy as np
from jaxtyping import Bool, Float

Curve = Float[np.ndarray, "_frame"]
Mask = Bool[np.ndarray, "_frame"]
Motion = Float[np.ndarray, "_frame _coef"]
Samples = Float[np.ndarray, "_sample _frame _coef"]
