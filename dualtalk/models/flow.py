"""The head that samples: a small flow, frame by frame, from noise to motion."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from dualtalk.models.blocks import RMSNorm

# Frequencies by which a flow is told how far it is; from half a turn to 32 turns over the whole way.
TIME_RATES = 7


class Flow(nn.Module):
    """A velocity that carries noise to motion, frame by frame: Lipman et al. 2023, "Flow matching for generative
    modeling", with straight paths (Liu et al. 2023, "Flow straight and fast").

    A frame's noise is its own; what makes a sample smooth is that each frame is told of the motion before it.
    """

    def __init__(self, coefficients: int, condition: int, width: int, layers: int) -> None:
        super().__init__()
        self.motion_in = nn.Linear(coefficients, width)
        self.condition_in = nn.Linear(condition, 2 * width * layers)
        self.time_in = nn.Linear(2 * TIME_RATES, 2 * width * layers, bias=False)
        self.layers = nn.ModuleList(FlowLayer(width) for _ in range(layers))
        self.norm = RMSNorm(width)
        self.out = nn.Linear(width, coefficients)
        # The first velocity is zero, so that training starts from the noise itself.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        condition: Float[Tensor, "*batch width"],
        motion: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """The velocity at a place between noise (time 0) and scaled motion (time 1)."""
        return self._velocity(self.condition_in(condition) + self._told(time), motion)

    def error(
        self,
        condition: Float[Tensor, "*batch width"],
        target: Float[Tensor, "*batch coef"],
        noise: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """Error of the velocity on the straight way from `noise` to `target` (scaled motion) at `time`."""
        place = (1 - time) * noise + time * target
        return self(condition, place, time) - (target - noise)

    def sample(
        self,
        condition: Float[Tensor, "*batch width"],
        noise: Float[Tensor, "*batch coef"],
        times: Float[Tensor, "step told"],
    ) -> Float[Tensor, "*batch coef"]:
        """Scaled motion from noise, in steps of Adams and Bashforth's second method, the first of them Euler's.

        Each step asks for one velocity, as Euler's do, but goes by how it has changed, too: what Euler's few steps
        lose of the spread, these keep. `times` are from `steps`.
        """
        told, steps = self.condition_in(condition), len(times)
        x, before = noise, None
        for time in times:
            velocity = self._velocity(told + time, x)
            mean = velocity if before is None else torch.lerp(before, velocity, 1.5)
            x, before = torch.add(x, mean, alpha=1 / steps), velocity
        return x

    def steps(self, count: int) -> Float[Tensor, "step told"]:
        """What the flow is told of the time at each of `count` even steps."""
        return self._told(torch.arange(count, device=self.out.bias.device)[:, None] / count)

    def _told(self, time: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch told"]:
        rates = torch.pi * 2.0 ** torch.arange(TIME_RATES, device=time.device)
        return self.time_in(torch.cat([(time * rates).cos(), (time * rates).sin()], dim=-1))

    def _velocity(
        self, told: Float[Tensor, "*batch told"], motion: Float[Tensor, "*batch coef"]
    ) -> Float[Tensor, "*batch coef"]:
        x = self.motion_in(motion)
        for layer, for_layer in zip(self.layers, told.chunk(len(self.layers), dim=-1), strict=True):
            x = layer(x, for_layer)
        return self.out(self.norm(x))


class FlowLayer(nn.Module):
    """Two layers with a residual; the condition comes in before the gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "*batch width"], told: Float[Tensor, "*batch told"]
    ) -> Float[Tensor, "*batch width"]:
        gate, value = (self.up(self.norm(x)) + told).chunk(2, dim=-1)
        return x + self.down(silu(gate) * value)
