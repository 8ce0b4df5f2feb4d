"""Quantile mapping of samples to the distribution of the training data, coefficient by coefficient."""

import torch
from jaxtyping import Float
from torch import Tensor

# Number of quantiles at which samples and data are compared, and the largest slope of the map between two
# quantiles. Both were chosen on the validation split.
QUANTILES, MAX_QUANTILE_SLOPE = 65, 5.0
# Lower bound of the difference between two quantiles of the data.
MIN_QUANTILE_STEP = 1e-5


def quantile_map(
    sampled: Float[Tensor, "frame coef"], data: Float[Tensor, "frame2 coef"]
) -> tuple[Float[Tensor, "coef quantile"], Float[Tensor, "coef quantile"]]:
    """Quantiles of samples and of data; the samples' quantiles are spread so that `MAX_QUANTILE_SLOPE` holds."""
    # Dense at both ends, where blinks, smiles and closed lips are.
    levels = (1 - torch.linspace(0, torch.pi, QUANTILES, device=data.device).cos()) / 2
    source, target = (torch.quantile(motion, levels, dim=0).T for motion in (sampled, data))
    min_steps = target.diff(dim=1).clamp(min=MIN_QUANTILE_STEP) / MAX_QUANTILE_SLOPE
    for place, step in enumerate(min_steps.unbind(1)):
        source[:, place + 1] = torch.maximum(source[:, place + 1], source[:, place] + step)
    return source, target


def map_quantiles(
    values: Float[Tensor, "coef value"],
    source: Float[Tensor, "coef quantile"],
    target: Float[Tensor, "coef quantile"],
) -> Float[Tensor, "coef value"]:
    """Map each value from its quantile in `source` to the same quantile in `target`.

    The map is linear between quantiles and a constant shift outside of their range.
    """
    above = torch.searchsorted(source, values).clamp(1, QUANTILES - 1)
    (low, high), (target_low, target_high) = (
        (quantiles.gather(1, above - 1), quantiles.gather(1, above)) for quantiles in (source, target)
    )
    fraction = ((values - low) / (high - low)).clamp(0, 1)
    outside = values - values.clamp(source[:, :1], source[:, -1:])
    return torch.lerp(target_low, target_high, fraction) + outside
