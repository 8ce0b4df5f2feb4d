"""Flow matching: from noise and a condition to the motion of one frame."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from dualtalk.models.blocks import RMSNorm

# Frequencies of the time embedding: from half a period to 32 periods over the time from 0 to 1.
TIME_FREQUENCIES = 7


class Flow(nn.Module):
    """A velocity field that carries noise to motion, frame by frame: Lipman et al. 2023, "Flow matching for
    generative modeling", with straight paths (Liu et al. 2023, "Flow straight and fast").

    Each frame has noise of its own. Samples are smooth over time because the condition contains the motion before.

    Parameters
    ----------
    motion_dim, condition_dim : int
        Width of the motion and of the condition.
    hidden_size : int
    depth : int
        Residual layers.
    """

    def __init__(self, motion_dim: int, condition_dim: int, hidden_size: int, depth: int) -> None:
        super().__init__()
        self.motion_proj = nn.Linear(motion_dim, hidden_size)
        self.condition_proj = nn.Linear(condition_dim, 2 * hidden_size * depth)
        self.time_proj = nn.Linear(2 * TIME_FREQUENCIES, 2 * hidden_size * depth, bias=False)
        self.layers = nn.ModuleList(FlowLayer(hidden_size) for _ in range(depth))
        self.norm = RMSNorm(hidden_size)
        self.out = nn.Linear(hidden_size, motion_dim)
        # The initial velocity is zero, so that training starts from the noise itself.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        condition: Float[Tensor, "*batch width"],
        motion: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """The velocity at a point between noise (time 0) and normalized motion (time 1)."""
        return self._velocity(self.condition_proj(condition) + self._time_embedding(time), motion)

    def velocity_residual(
        self,
        condition: Float[Tensor, "*batch width"],
        target: Float[Tensor, "*batch coef"],
        noise: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """Error of the velocity at `time` on the straight path from `noise` to `target` (normalized motion)."""
        point = (1 - time) * noise + time * target
        return self(condition, point, time) - (target - noise)

    def sample(
        self,
        condition: Float[Tensor, "*batch width"],
        noise: Float[Tensor, "*batch coef"],
        time_embeddings: Float[Tensor, "step embedding"],
    ) -> Float[Tensor, "*batch coef"]:
        """Normalized motion from noise, by the two-step Adams-Bashforth method; the first step is Euler's.

        A step costs one evaluation of the velocity, as in Euler's method, but extrapolates it: with few steps,
        Euler's samples have too little variance and these do not. `time_embeddings` come from `step_embeddings`.
        """
        embedding, steps = self.condition_proj(condition), len(time_embeddings)
        x, previous = noise, None
        for time in time_embeddings:
            velocity = self._velocity(embedding + time, x)
            mean = velocity if previous is None else torch.lerp(previous, velocity, 1.5)
            x, previous = torch.add(x, mean, alpha=1 / steps), velocity
        return x

    def step_embeddings(self, count: int) -> Float[Tensor, "step embedding"]:
        """Time embeddings of `count` even steps."""
        return self._time_embedding(torch.arange(count, device=self.out.bias.device)[:, None] / count)

    def _time_embedding(self, time: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch embedding"]:
        frequencies = torch.pi * 2.0 ** torch.arange(TIME_FREQUENCIES, device=time.device)
        return self.time_proj(torch.cat([(time * frequencies).cos(), (time * frequencies).sin()], dim=-1))

    def _velocity(
        self, embedding: Float[Tensor, "*batch embedding"], motion: Float[Tensor, "*batch coef"]
    ) -> Float[Tensor, "*batch coef"]:
        x = self.motion_proj(motion)
        for layer, layer_embedding in zip(self.layers, embedding.chunk(len(self.layers), dim=-1), strict=True):
            x = layer(x, layer_embedding)
        return self.out(self.norm(x))


class FlowLayer(nn.Module):
    """A residual layer with a gate; the embedding of condition and time is added before the gate."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.norm = RMSNorm(hidden_size)
        self.up = nn.Linear(hidden_size, 2 * hidden_size)
        self.down = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, x: Float[Tensor, "*batch hidden"], embedding: Float[Tensor, "*batch embedding"]
    ) -> Float[Tensor, "*batch hidden"]:
        gate, value = (self.up(self.norm(x)) + embedding).chunk(2, dim=-1)
        return x + self.down(silu(gate) * value)
