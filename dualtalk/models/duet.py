"""Duet: one causal network for the pair, and the model of this project.

It hears, then it moves. **Hearing** goes by the two voices alone: each person has a stream of tokens, one a frame,
and in every layer a stream looks at its own past and, by another attention with weights of its own, at the
partner's; both see the frame itself and a window before it. (With one attention for both voices lips suffer: Chu
et al. 2026, "UniLS".) **Moving** goes frame by frame, since each frame goes on from the motion before it, and is
kept small for that: one attention to what the partner was heard and seen to do gives the mean motion; one more, to
what oneself did, the condition of a flow that samples how the motion departs from going on as it went.

So the mean does not depend on one's own past, of which in a closed loop the voices tell it all; it neither drifts
nor learns to copy. A sample does, or it could not be smooth. The two people share all weights.

Streaming keeps a window of keys and values, so a conversation of hours costs what one of seconds does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.blocks import Cache, FeedForward, Line, RMSNorm, SlidingAttention, Standardised, Turns
from dualtalk.models.flow import Flow
from dualtalk.models.front_ends import CausalLogMel, FrontEnd, heard_ahead, start_hearing
from dualtalk.models.interface import ConversationModel, Frame, State, motion_before, require_fit

# Samples lean on the mean by this much where it explains most of a coefficient, less where less, and not where it
# explains no more than the least: they close lips, and keep heads and eyes free. Chosen on the validation split.
LEANING, LEAST_TOLD, MOST_TOLD = 0.9, 0.3, 0.7
# Samples are matched to the training motion at so many quantiles, and no step between two is stretched by more.
QUANTILES, STEEPEST = 65, 4.0
# Under the sum of the squares of changes, where nothing changes.
SMALLEST_SQUARES = 1e-12
# Between two quantiles of samples, at least.
SMALLEST_STEP = 1e-5


@dataclass(frozen=True)
class DuetConfig:
    """Sizes of the pair's network."""

    coefficients: int = 62
    """Width of a motion vector."""

    width: int = 192
    """Width of both streams."""

    layers: int = 4
    """Blocks that hear, each with attention to oneself, attention to the partner, and a feed-forward."""

    heads: int = 4
    """Attention heads; the width is an even multiple of it."""

    window_frames: int = 100
    """How many frames an attention sees, its own among them, 25 a second; blocks add up."""

    hidden: int = 512
    """Width of the feed-forward layers."""

    dropout: float = 0.0
    """Share of activations dropped in training."""

    look_ahead_frames: int = 3
    """Frames of audio heard past the frame that is moved, 40 ms each, unless set otherwise."""

    largest_look_ahead_frames: int = 5
    """One network serves every look-ahead from 0 to this; it is told which."""

    flow_width: int = 192
    """Width of the flow that samples."""

    flow_layers: int = 2
    """Residual layers of the flow."""

    flow_steps: int = 4
    """Steps from noise to a sample."""


class Understood(NamedTuple):
    """What is made of each frame: what the mean goes by, and what a sample goes by."""

    mean: Float[Tensor, "batch 2 *frame width"]
    sample: Float[Tensor, "batch 2 *frame width"]


class Seen(NamedTuple):
    """What of the motion before each frame is gone by: where people were, and how that had changed."""

    before: Float[Tensor, "batch 2 *frame coef"]
    change: Float[Tensor, "batch 2 *frame coef"]


class Fixed(NamedTuple):
    """What stays as it is through a conversation, worked out once: for one frame, calls are what takes time."""

    onto_scale: Line
    onto_changes: Line
    from_scale: Line
    from_departures: Line
    flow_times: Float[Tensor, "step told"]
    known: Float[Tensor, "coef"]


class DuetState(NamedTuple):
    """What is remembered between frames; `before` is None until a frame was moved."""

    fixed: Fixed
    front_end: State
    hearing: tuple["Caches", ...]
    moving: "Caches"
    before: Float[Tensor, "batch 2 coef"] | None


class Caches(NamedTuple):
    """Keys and values of one's own past, and of the partner's."""

    own: Cache
    partner: Cache


class Duet(ConversationModel):
    """Both people's motion in one causal pass.

    Parameters
    ----------
    config : DuetConfig
    front_end : FrontEnd or None
        What hears; None for `CausalLogMel()`. With one that is not causal, the model cannot be streamed.

    Attributes
    ----------
    look_ahead_frames : int or None
        May be set to anything from 0 to `config.largest_look_ahead_frames`.
    scale : Standardised
        Scale of each coefficient, in and out.
    changes : Standardised
        Scale of each coefficient's change from one frame to the next.
    momentum : (coef,)
        How much of its last change each coefficient repeats, by least squares.
    departures : Standardised
        Scale of what is left of the changes then.
    lowest, highest : (coef,)
        Least and most of each coefficient in training; samples stay within. `fit` sets all of these.
    told : (coef,)
        How much of each coefficient's variance the mean explains, 0 to 1, which training finds out: of lips
        nearly all, of where a head is turned little. Samples lean on the mean where voices tell much.
    sampled_quantiles, true_quantiles : (coef, quantile)
        Of what the model samples in a closed loop and of the training motion, coefficient by coefficient; see
        `shown`. `match` sets them.
    """

    def __init__(self, config: DuetConfig, front_end: FrontEnd | None = None) -> None:
        super().__init__()
        if not 0 <= config.look_ahead_frames <= config.largest_look_ahead_frames:
            raise InputError(f"a look-ahead of {config.look_ahead_frames} frames; wanted none to the largest")
        self.config = config
        self.coefficients = config.coefficients
        self.front_end = front_end or CausalLogMel()
        self.look_ahead_frames = config.look_ahead_frames if self.front_end.causal else None
        self.scale, self.changes, self.departures = (Standardised(config.coefficients) for _ in range(3))
        self.register_buffer("momentum", torch.zeros(config.coefficients))
        self.register_buffer("told", torch.zeros(config.coefficients))
        self.register_buffer("lowest", torch.full((config.coefficients,), -torch.inf))
        self.register_buffer("highest", torch.full((config.coefficients,), torch.inf))
        for name in ("sampled_quantiles", "true_quantiles"):
            self.register_buffer(name, torch.linspace(-1, 1, QUANTILES).repeat(config.coefficients, 1))
        self.audio_in = nn.Linear(self.front_end.width, config.width)
        self.look_ahead_in = nn.Embedding(config.largest_look_ahead_frames + 1, config.width)
        self.hearing = nn.ModuleList(DuetBlock(config) for _ in range(config.layers))
        self.moving = MovingBlock(config)
        self.mean_out = nn.Linear(config.width, config.coefficients)
        self.flow = Flow(config.coefficients, config.width, config.flow_width, config.flow_layers)

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        known = motion[valid]
        self.scale.fit(known)
        self.lowest.copy_(known.amin(dim=0))
        self.highest.copy_(known.amax(dim=0))
        both = valid[:, :, 1:] & valid[:, :, :-1]
        three = both[:, :, 1:] & both[:, :, :-1]
        if not three.any():
            return
        changes = motion.diff(dim=2)
        self.changes.fit(changes[both])
        last, now = changes[:, :, :-1][three], changes[:, :, 1:][three]
        self.momentum.copy_((last * now).sum(dim=0) / last.square().sum(dim=0).clamp(min=SMALLEST_SQUARES))
        self.departures.fit(now - self.momentum * last)

    def admit(self, known: Float[Tensor, "frame coef"]) -> None:
        """Let samples go as far as `known` motion does, where it goes farther than that of the training before."""
        self.lowest.copy_(torch.minimum(self.lowest, known.amin(dim=0)))
        self.highest.copy_(torch.maximum(self.highest, known.amax(dim=0)))

    def match(self, sampled: Float[Tensor, "frame coef"], true: Float[Tensor, "frame2 coef"]) -> None:
        """Learn how samples of a closed loop are distributed, and how they should be."""
        # Close to each other at both ends, where blinks, smiles and closed lips are.
        levels = (1 - torch.linspace(0, torch.pi, QUANTILES, device=true.device).cos()) / 2
        came, wanted = (torch.quantile(motion, levels, dim=0).T for motion in (sampled, true))
        least = wanted.diff(dim=1).clamp(min=SMALLEST_STEP) / STEEPEST
        for place, step in enumerate(least.unbind(1)):
            came[:, place + 1] = torch.maximum(came[:, place + 1], came[:, place] + step)
        self.sampled_quantiles.copy_(came)
        self.true_quantiles.copy_(wanted)

    def shown(self, moved: Float[Tensor, "batch 2 *frame coef"]) -> Float[Tensor, "batch 2 *frame coef"]:
        """Each coefficient brought from its place among samples to the same place among the training motion:
        quantile mapping, linear between quantiles, a shift outside of them.

        Where voices tell little, and where the flow is not exact, frame after frame adds up to lids that hang,
        lips that open half as far, and smiles too small; the order of what is moved is right, its size is not.
        """
        values = moved.movedim(-1, 0).flatten(1).contiguous()
        came, wanted = self.sampled_quantiles, self.true_quantiles
        after = torch.searchsorted(came, values).clamp(1, QUANTILES - 1)
        (low, high), (wanted_low, wanted_high) = (
            (ends.gather(1, after - 1), ends.gather(1, after)) for ends in (came, wanted)
        )
        within = ((values - low) / (high - low)).clamp(0, 1)
        outside = values - values.clamp(came[:, :1], came[:, -1:])
        matched = torch.lerp(wanted_low, wanted_high, within) + outside
        matched = matched.unflatten(1, moved.shape[:-1]).movedim(0, -1)
        return torch.lerp(matched, moved, self._known()).clamp(self.lowest, self.highest)

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        seen = seen_before(motion_before(motion, first))
        return self.moved(self.understood(self.heard(audio), seen), seen, noise)

    def heard(self, audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 frame width"]:
        """What is made of both voices, a whole recording of them."""
        features = heard_ahead(self.front_end, audio.flatten(0, 1), self.look_ahead_frames or 0)
        x = self._tokens(features)
        for block in self.hearing:
            x = block(x)
        return x.unflatten(0, (-1, 2))

    def understood(self, heard: Float[Tensor, "batch 2 frame width"], seen: Seen) -> Understood:
        """What is made of each frame, given the motion before it: all that `moved` and the flow go by."""
        return _in_pairs(self.moving(heard.flatten(0, 1), *_scaled(seen, self.fixed())))

    def moved(
        self,
        understood: Understood,
        seen: Seen,
        noise: Float[Tensor, "batch 2 *frame coef"] | None = None,
        fixed: Fixed | None = None,
    ) -> Float[Tensor, "batch 2 *frame coef"]:
        """The mean motion, or, from noise, a sample of it."""
        fixed = fixed or self.fixed()
        mean = fixed.from_scale(self.mean_out(understood.mean))
        if noise is None:
            return mean
        departure = self.flow.sample(understood.sample, noise, fixed.flow_times)
        moved = self.going_on(seen) + fixed.from_departures(departure)
        return torch.lerp(moved, mean, LEANING * fixed.known).clamp(self.lowest, self.highest)

    def fixed(self) -> Fixed:
        """What does not change from frame to frame."""
        return Fixed(
            onto_scale=self.scale.onto(),
            onto_changes=self.changes.onto(),
            from_scale=self.scale.back(),
            from_departures=self.departures.back(),
            flow_times=self.flow.steps(self.config.flow_steps),
            known=self._known(),
        )

    def _known(self) -> Float[Tensor, "coef"]:
        """0 for coefficients of which voices tell little, 1 for those of which they tell most."""
        return ((self.told - LEAST_TOLD) / (MOST_TOLD - LEAST_TOLD)).clamp(0, 1)

    def going_on(self, seen: Seen) -> Float[Tensor, "batch 2 *frame coef"]:
        """Where people would be if they went on as they went."""
        return seen.before + self.momentum * seen.change

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        if self.look_ahead_frames is None:
            return super().start(ahead)
        people = 2 * len(ahead)
        front_end = start_hearing(self.front_end, ahead.flatten(0, 1))
        caches = tuple(block.start(people) for block in self.hearing)
        return DuetState(self.fixed(), front_end, caches, self.moving.start(people), None)

    def hear(
        self, state: DuetState, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame width"], DuetState]:
        features, front_end = self.front_end.extend(state.front_end, audio.flatten(0, 1))
        x, after = self._tokens(features), []
        by = self.moving.own.turns_after(state.hearing[0].own, x.shape[1])
        for block, caches in zip(self.hearing, state.hearing, strict=True):
            x, caches = block.extend(caches, x, by)
            after.append(caches)
        return x.unflatten(0, (-1, 2)), state._replace(front_end=front_end, hearing=tuple(after))

    def move(self, state: DuetState, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], DuetState]:
        earlier = frame.before if state.before is None else state.before
        seen = Seen(frame.before, frame.before - earlier)
        before, change = (part[:, None] for part in _scaled(seen, state.fixed))
        understood, moving = self.moving.extend(
            state.moving, frame.heard.flatten(0, 1)[:, None], before, change, sampled=frame.noise is not None
        )
        understood = Understood(*(part[:, :, 0] for part in _in_pairs(understood)))
        moved = self.moved(understood, seen, frame.noise, state.fixed)
        return moved, state._replace(moving=moving, before=frame.before)

    def _tokens(self, features: Float[Tensor, "people frame feature"]) -> Float[Tensor, "people frame width"]:
        tokens = self.audio_in(features)
        if self.look_ahead_frames is None:
            return tokens
        return tokens + self.look_ahead_in.weight[self._checked_look_ahead()]

    def _checked_look_ahead(self) -> int:
        if not 0 <= self.look_ahead_frames <= self.config.largest_look_ahead_frames:
            raise InputError(
                f"a look-ahead of {self.look_ahead_frames} frames; this network was made for 0 to "
                f"{self.config.largest_look_ahead_frames}"
            )
        return self.look_ahead_frames


class DuetBlock(nn.Module):
    """Attention to oneself, attention to the partner and a feed-forward, each behind an RMS norm and added.

    People are a batch of (2 n): person 0 and person 1 of each conversation beside each other.
    """

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.own_norm, self.partner_norm, self.feed_forward_norm = (RMSNorm(config.width) for _ in range(3))
        self.own, self.partner = _attention(config), _attention(config)
        self.feed_forward = FeedForward(config.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "people frame width"]) -> Float[Tensor, "people frame width"]:
        x = x + self.dropout(self.own(self.own_norm(x)))
        normed = self.partner_norm(x)
        x = x + self.dropout(self.partner(normed, exchanged(normed)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))

    def start(self, people: int) -> Caches:
        return Caches(self.own.start(people), self.partner.start(people))

    def extend(
        self, caches: Caches, x: Float[Tensor, "people frame width"], by: Turns
    ) -> tuple[Float[Tensor, "people frame width"], Caches]:
        answer, own = self.own.extend(caches.own, self.own_norm(x), by=by)
        x = x + self.dropout(answer)
        normed = self.partner_norm(x)
        answer, partner = self.partner.extend(caches.partner, normed, exchanged(normed), by)
        x = x + self.dropout(answer)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))), Caches(own, partner)


class MovingBlock(nn.Module):
    """Attention to the partner, heard and seen, for the mean; then attention to oneself, for samples.

    What was seen is the motion before each frame and how it had changed, both standardised, (people, frame, coef);
    people are batched as in `DuetBlock`.
    """

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.motion_in = nn.Linear(config.coefficients, config.width, bias=False)
        self.own_motion_in = nn.Linear(2 * config.coefficients, config.width, bias=False)
        self.seen_norm, self.partner_norm, self.mean_norm, self.mean_out_norm = (
            RMSNorm(config.width) for _ in range(4)
        )
        self.own_norm, self.sample_norm, self.sample_out_norm = (RMSNorm(config.width) for _ in range(3))
        self.own, self.partner = _attention(config), _attention(config)
        self.mean, self.sample = (FeedForward(config.width, config.hidden) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        heard: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
    ) -> Understood:
        seen = self._seen(heard, before)
        x = self._after_partner(heard, self.partner(self.partner_norm(heard), exchanged(seen)))
        y = self._after_own(x, before, change, self.own(self.own_norm(x), seen))
        return Understood(self.mean_out_norm(x), self.sample_out_norm(y))

    def start(self, people: int) -> Caches:
        return Caches(self.own.start(people), self.partner.start(people))

    def extend(
        self,
        caches: Caches,
        heard: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
        *,
        sampled: bool,
    ) -> tuple[Understood, Caches]:
        """The next frames of `forward`; unless `sampled`, what a sample goes by is left out (it is the mean's)."""
        by = self.own.turns_after(caches.own, heard.shape[1])
        seen = self._seen(heard, before)
        answer, partner = self.partner.extend(caches.partner, self.partner_norm(heard), exchanged(seen), by)
        x = self._after_partner(heard, answer)
        mean = self.mean_out_norm(x)
        if not sampled:
            return Understood(mean, mean), Caches(self.own.remember(caches.own, seen, by), partner)
        answer, own = self.own.extend(caches.own, self.own_norm(x), seen, by)
        sample = self.sample_out_norm(self._after_own(x, before, change, answer))
        return Understood(mean, sample), Caches(own, partner)

    def _seen(
        self, heard: Float[Tensor, "people frame width"], before: Float[Tensor, "people frame coef"]
    ) -> Float[Tensor, "people frame width"]:
        return self.seen_norm(heard + self.motion_in(before))

    def _after_partner(
        self, heard: Float[Tensor, "people frame width"], answer: Float[Tensor, "people frame width"]
    ) -> Float[Tensor, "people frame width"]:
        x = heard + self.dropout(answer)
        return x + self.dropout(self.mean(self.mean_norm(x)))

    def _after_own(
        self,
        x: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
        answer: Float[Tensor, "people frame width"],
    ) -> Float[Tensor, "people frame width"]:
        y = x + self.dropout(answer) + self.own_motion_in(torch.cat([before, change], dim=-1))
        return y + self.dropout(self.sample(self.sample_norm(y)))


def seen_before(before: Float[Tensor, "batch 2 frame coef"]) -> Seen:
    """What is seen of motion, given as `motion_before` gives it; before the first frame nobody moved."""
    return Seen(before, nn.functional.pad(before.diff(dim=2), (0, 0, 1, 0)))


def _scaled(seen: Seen, fixed: Fixed) -> tuple[Float[Tensor, "people *frame coef"], ...]:
    return fixed.onto_scale(seen.before).flatten(0, 1), fixed.onto_changes(seen.change).flatten(0, 1)


def _attention(config: DuetConfig) -> SlidingAttention:
    return SlidingAttention(config.width, config.heads, config.window_frames)


def _in_pairs(understood: Understood) -> Understood:
    return Understood(*(part.unflatten(0, (-1, 2)) for part in understood))


def exchanged(people: Float[Tensor, "people *rest"]) -> Float[Tensor, "people *rest"]:
    """The partner of each of the people."""
    return people.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
