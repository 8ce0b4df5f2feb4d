"""The verb `train`: a run by its config, and, on request, videos that show what the model has learnt so far."""

import logging
import warnings
from pathlib import Path

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.seed import isolate_rng
from pyannote.core import Segment, Timeline

from dualtalk.core import Conversation, Participant
from dualtalk.data.distributed import process_number
from dualtalk.data.module import ConversationData
from dualtalk.data.windows import Window
from dualtalk.errors import DualTalkError, InputError
from dualtalk.geometry.masks import runs
from dualtalk.head import load_head
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.render import render_conversation
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.simulation.closed_loop import close_the_loop
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME
from dualtalk.training.fit import train
from dualtalk.training.module import ConversationTraining

# At most so much of a conversation is shown: 8 s.
SHOWN_FRAMES = 200


def run(config: Path, overrides: list[str], *, sample_video_every_n_steps: int | None) -> list[str]:
    """Train; gives the lines to print, of which only the first of several processes has any.

    Raises
    ------
    DualTalkError
        The config, the data or the machine is not as it should be.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    callbacks = [] if sample_video_every_n_steps is None else [SampleVideos(sample_video_every_n_steps)]
    path = train(["--config", str(config), *overrides], callbacks)
    return [] if process_number() else [str(path)]


class SampleVideos(Callback):
    """Films the first validation conversation, moved by the model alone, every so many steps.

    The weights are the averaged ones, as a run keeps them in the end. Training goes on as if nothing were drawn.

    Parameters
    ----------
    every : int
        Steps between videos.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._last_step = 0

    def on_fit_start(self, trainer: Trainer, training: ConversationTraining) -> None:
        if training.model.look_ahead_frames is None:
            name = type(training.model).__name__
            raise InputError(
                f"{name} needs the whole recording before its first frame; leave out --sample-video-every-n-steps"
            )
        # A machine that cannot draw is to say so before the long work.
        open_renderer(Scene(load_head(training.head), camera_layout("split"))).close()

    def on_train_batch_end(
        self, trainer: Trainer, training: ConversationTraining, outputs: object, batch: Window, index: int
    ) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or step % self.every or step == self._last_step:
            return
        self._last_step = step
        folder = Path(trainer.default_root_dir) / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        with isolate_rng():
            try:
                moved = close_the_loop(shown_conversation(trainer.datamodule), averaged(trainer, training))
                render_conversation(moved, load_head(training.head), folder / f"step{step:08d}.mp4")
            except DualTalkError as error:
                # A model that has learnt little yet may turn heads by more than a motion file can hold.
                warnings.warn(f"no video of step {step}: {error}", stacklevel=1)


def averaged(trainer: Trainer, training: ConversationTraining) -> PretrainedModel:
    """A copy of the model with weights averaged over the steps so far; `training` is left as it was."""
    (averaging,) = (one for one in trainer.callbacks if isinstance(one, WeightAveraging))
    # These two exchange the weights with their averages, and back.
    averaging.on_validation_epoch_start(trainer, training)
    copied = training.as_it_is()
    averaging.on_validation_epoch_end(trainer, training)
    return copied


def shown_conversation(data: ConversationData) -> Conversation:
    """The first validation window, or its beginning: the same each time."""
    window = next(iter(data.windows("validation")))
    people = []
    for audio, speaking in zip(window.audio.numpy(), window.speech.numpy(), strict=True):
        spans = [Segment(*(frame / MOTION_FPS for frame in span)) for span in runs(speaking[:SHOWN_FRAMES])]
        people.append(Participant(audio[: SHOWN_FRAMES * SAMPLES_PER_FRAME], Timeline(spans)))
    return Conversation(*people, name=window.clip)
