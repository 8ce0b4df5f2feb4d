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

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel, FrontEnd, heard_ahead, start_hearing
from dualtalk.models.blocks import Line, Standardised
from dualtalk.models.duet_modules import Caches, DuetBlock, DuetConfig, MovingBlock, Understood
from dualtalk.models.flow import Flow
from dualtalk.models.interface import (
    ConversationModel,
    Frame,
    OnePersonsMotion,
    State,
    cut,
    fed,
    motion_before,
    require_fit,
)

# Samples lean on the mean by this much in what opens the lips, and where voices tell more of a coefficient's
# variance than the second share; hardly where they tell less than the first. Lips move with the voice, heads and
# lids stay free, and yet heads do not wander off: a two hundredth of the way back in each frame holds them.
LEANING, LEANING_TOLD, LEAST_LEANING = 0.9, (0.1, 0.3), 0.005
# By so much less noise than the flow was trained with, samples go where they lean on the mean, and heads: a flow's
# likeliest samples are its best (Kingma & Dhariwal 2018, "Glow"). By all of it nods drown in sway; but blinks, of
# which no voice tells, need all of it.
COOLING = 0.2
# Samples are matched to the training motion at so many quantiles, and no step between two is stretched by more:
# wholly where voices tell less than the first share, not where they tell more than the second, nor in what opens
# the lips, which would not close any more on voices half understood, nor in how the head is turned, which is moved
# right as it is and would sway. All chosen on the validation split.
QUANTILES, STEEPEST, MATCHED_TOLD = 65, 5.0, (0.2, 0.4)
# What, one deviation from rest, opens or closes the lips by more than this does so: a quarter of what looks open.
OPENS_MM = 0.5
# Under a sum of squares, where there is nothing to sum up.
SMALLEST_SQUARES = 1e-12
# The mean is worked out for so many frames at once, until no coefficient changes by more.
SETTLED_AT_ONCE_FRAMES, SETTLED = 50, 2e-5
# A direction in which motion, on its scale, has less variance than this is one in which nobody moves.
SMALLEST_SPREAD = 1e-3
# Between two quantiles of samples, at least.
SMALLEST_STEP = 1e-5


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
    leaning: Float[Tensor, "coef"]
    temperature: Float[Tensor, "coef"]
    parting: Float[Tensor, "coef"]


class DuetState(NamedTuple):
    """What is remembered between frames; `before` is None until a frame was moved."""

    fixed: Fixed
    front_end: State
    hearing: tuple[Caches, ...]
    moving: Caches
    before: Float[Tensor, "batch 2 coef"] | None


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
        Least and most of each coefficient in training; samples stay within, but for what keeps their lips where
        the mean's are. `fit` sets all of these.
    told : (coef,)
        How much of each coefficient's variance the mean explains, 0 to 1, which training finds out: of lips
        nearly all, of where a head is turned little. Samples lean on the mean where voices tell much.
    opening : (coef,)
        How far each coefficient takes the lips apart, in millimetres a unit; training sets it, by the head. A
        sample's lips are as far apart as the mean's, whatever else the face does: or every third m would be open.
    closed_mm : ()
        What `opening` comes to where lips are closed to the eye; training sets it, by the head.
    turns_head : (coef,)
        1 for coefficients that turn the head, else 0; training sets it, by the layout.
    sampled_quantiles, true_quantiles : (coef, quantile)
        Of what the model samples in a closed loop and of the training motion, coefficient by coefficient; see
        `shown`. `match` sets them.
    sampled_openings, true_openings : (quantile,)
        The same of what `opening` comes to where lips are open.
    together : (coef, coef)
        Projects scaled motion onto the directions in which the training motion moves at all: lids that only ever
        closed together do so.
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
        for name in ("momentum", "told", "opening", "turns_head"):
            self.register_buffer(name, torch.zeros(config.coefficients))
        self.register_buffer("lowest", torch.full((config.coefficients,), -torch.inf))
        self.register_buffer("highest", torch.full((config.coefficients,), torch.inf))
        for name in ("sampled_quantiles", "true_quantiles"):
            self.register_buffer(name, torch.linspace(-1, 1, QUANTILES).repeat(config.coefficients, 1))
        for name in ("sampled_openings", "true_openings"):
            self.register_buffer(name, torch.linspace(0, 1, QUANTILES))
        self.register_buffer("closed_mm", torch.zeros(()))
        self.register_buffer("together", torch.eye(config.coefficients))
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
        came, wanted = _quantiles(sampled, true)
        self.sampled_quantiles.copy_(came)
        self.true_quantiles.copy_(wanted)
        openings = (motion @ self.opening for motion in (sampled, true))
        opened = [opening[opening > self.closed_mm, None] for opening in openings]
        if all(map(len, opened)):
            came, wanted = _quantiles(*opened)
            # Lips that are closed stay so.
            came[:, 0] = wanted[:, 0] = self.closed_mm
            self.sampled_openings.copy_(came[0])
            self.true_openings.copy_(wanted[0])
        scaled = self.scale(true)
        spread, directions = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
        directions = directions[:, spread > SMALLEST_SPREAD]
        self.together.copy_(directions @ directions.T)

    def shown(self, moved: Float[Tensor, "batch 2 *frame coef"]) -> Float[Tensor, "batch 2 *frame coef"]:
        """Each coefficient brought from its place among samples to the same place among the training motion:
        quantile mapping, linear between quantiles, a shift outside of them.

        Where voices tell little, and where the flow is not exact, frame after frame adds up to lids that hang,
        lips that open half as far, and smiles too small; the order of what is moved is right, its size is not.

        Open lips are matched by how far they are apart, all that opens them together. The mean, which is paid most
        for lips that close, leaves them too near each other where it is not sure; closed ones stay closed.
        """
        values = moved.movedim(-1, 0).flatten(1).contiguous()
        matched = _mapped(values, self.sampled_quantiles, self.true_quantiles)
        matched = matched.unflatten(1, moved.shape[:-1]).movedim(0, -1)
        matched = torch.lerp(matched, moved, self._known(*MATCHED_TOLD).maximum(self.turns_head))
        matched = self.scale.inverse(self.scale(matched) @ self.together).clamp(self.lowest, self.highest)
        opening = (moved @ self.opening).flatten()[None]
        opening = _mapped(opening, self.sampled_openings[None], self.true_openings[None]).view(moved.shape[:-1])
        return _parted(matched, opening - matched @ self.opening, self._parting())

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
        departure = self.flow.sample(understood.sample, noise * fixed.temperature, fixed.flow_times)
        moved = torch.lerp(self.going_on(seen) + fixed.from_departures(departure), mean, fixed.leaning)
        moved = moved.clamp(self.lowest, self.highest)
        return _parted(moved, (mean - moved) @ self.opening, fixed.parting)

    def fixed(self) -> Fixed:
        """What does not change from frame to frame."""
        known = self._known(*LEANING_TOLD)
        return Fixed(
            onto_scale=self.scale.onto(),
            onto_changes=self.changes.onto(),
            from_scale=self.scale.back(),
            from_departures=self.departures.back(),
            flow_times=self.flow.steps(self.config.flow_steps),
            leaning=(LEANING * known).clamp(min=LEAST_LEANING),
            temperature=1 - COOLING * known.maximum(self.turns_head),
            parting=self._parting(),
        )

    def _known(self, least: float, most: float) -> Float[Tensor, "coef"]:
        """0 for coefficients of which voices tell no more than `least`, 1 where they tell `most` or that open the
        lips, even between."""
        return ((self.told - least) / (most - least)).clamp(0, 1).maximum(self.opens_lips.to(self.told))

    @property
    def opens_lips(self) -> Bool[Tensor, "coef"]:
        """Which coefficients open and close the lips."""
        return (self.opening * self.scale.deviation).abs() > OPENS_MM

    def _parting(self) -> Float[Tensor, "coef"]:
        """The least motion, in deviations, of what opens the lips that takes them a millimetre apart."""
        parting = self.opening * self.opens_lips * self.scale.deviation.square()
        return parting / (self.opening @ parting).clamp(min=SMALLEST_SQUARES)

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

    def move_on(
        self,
        state: DuetState,
        heard: Float[Tensor, "batch 2 frame width"],
        before: Float[Tensor, "batch 2 coef"],
        given: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], DuetState]:
        """Samples frame by frame. The mean, which asks little of the motion before it, of many frames at once, and
        again from what came out until nothing changes. It is what it is frame by frame: each time round one more
        frame at least is right, and commonly six times do for fifty. Jacobi's method, as in Song et al. 2021,
        "Accelerating feedforward computation via parallel nonlinear equation solving".
        """
        if noise is not None:
            return super().move_on(state, heard, before, given, noise)
        parts, done = [], 0
        for some in heard.split(SETTLED_AT_ONCE_FRAMES, dim=2):
            known = cut(given, slice(done, done + some.shape[2]))
            moved, state = self._settled(state, some, before, known)
            parts.append(moved)
            before, done = fed(moved, known)[:, :, -1], done + some.shape[2]
        return torch.cat(parts, dim=2), state

    def _settled(
        self,
        state: DuetState,
        heard: Float[Tensor, "batch 2 frame width"],
        before: Float[Tensor, "batch 2 coef"],
        given: tuple[OnePersonsMotion, OnePersonsMotion],
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], DuetState]:
        frames, listened = heard.shape[2], heard.flatten(0, 1)
        by = self.moving.own.turns_after(state.moving.own, frames)
        moved, apart, rounds = before[:, :, None].expand(-1, -1, frames, -1), torch.inf, 0
        while apart > SETTLED and rounds <= frames:
            past = motion_before(fed(moved, given), before)
            through = self.moving.through_partner(
                state.moving.partner, listened, state.fixed.onto_scale(past).flatten(0, 1), by
            )
            mean = self.mean_out(self.moving.mean_out_norm(through.x)).unflatten(0, (-1, 2))
            last, moved = moved, state.fixed.from_scale(mean)
            apart, rounds = float((moved - last).abs().max()), rounds + 1
        moving = Caches(self.moving.own.remember(state.moving.own, through.seen, by), through.partner)
        return moved, state._replace(moving=moving, before=past[:, :, -1])

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


def seen_before(before: Float[Tensor, "batch 2 frame coef"]) -> Seen:
    """What is seen of motion, given as `motion_before` gives it; before the first frame nobody moved."""
    return Seen(before, nn.functional.pad(before.diff(dim=2), (0, 0, 1, 0)))


def _quantiles(
    sampled: Float[Tensor, "frame coef"], true: Float[Tensor, "frame2 coef"]
) -> tuple[Float[Tensor, "coef quantile"], Float[Tensor, "coef quantile"]]:
    """Of both, with steps between those of samples that are long enough."""
    # Close to each other at both ends, where blinks, smiles and closed lips are.
    levels = (1 - torch.linspace(0, torch.pi, QUANTILES, device=true.device).cos()) / 2
    came, wanted = (torch.quantile(motion, levels, dim=0).T for motion in (sampled, true))
    least = wanted.diff(dim=1).clamp(min=SMALLEST_STEP) / STEEPEST
    for place, step in enumerate(least.unbind(1)):
        came[:, place + 1] = torch.maximum(came[:, place + 1], came[:, place] + step)
    return came, wanted


def _mapped(
    values: Float[Tensor, "coef value"],
    came: Float[Tensor, "coef quantile"],
    wanted: Float[Tensor, "coef quantile"],
) -> Float[Tensor, "coef value"]:
    """From a place among quantiles to the same among others: linear between them, a shift outside."""
    after = torch.searchsorted(came, values).clamp(1, QUANTILES - 1)
    (low, high), (wanted_low, wanted_high) = (
        (ends.gather(1, after - 1), ends.gather(1, after)) for ends in (came, wanted)
    )
    within = ((values - low) / (high - low)).clamp(0, 1)
    outside = values - values.clamp(came[:, :1], came[:, -1:])
    return torch.lerp(wanted_low, wanted_high, within) + outside


def _parted(
    moved: Float[Tensor, "batch 2 *frame coef"],
    by_mm: Float[Tensor, "batch 2 *frame"],
    parting: Float[Tensor, "coef"],
) -> Float[Tensor, "batch 2 *frame coef"]:
    """`moved`, with lips by so much farther apart."""
    return moved + by_mm[..., None] * parting


def _scaled(seen: Seen, fixed: Fixed) -> tuple[Float[Tensor, "people *frame coef"], ...]:
    return fixed.onto_scale(seen.before).flatten(0, 1), fixed.onto_changes(seen.change).flatten(0, 1)


def _in_pairs(understood: Understood) -> Understood:
    return Understood(*(part.unflatten(0, (-1, 2)) for part in understood))
