"""Lightning callbacks of a training run: averaged weights, sample videos, and the progress line."""

import time
import warnings
from pathlib import Path
from typing import Any, cast

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ProgressBar
from lightning.pytorch.utilities.seed import isolate_rng
from pyannote.core import Segment, Timeline
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dualtalk.core import Conversation, Participant
from dualtalk.data.module import ConversationData
from dualtalk.errors import DualTalkError, InputError
from dualtalk.geometry.masks import runs
from dualtalk.head import load_head
from dualtalk.render import render_conversation
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.simulation.closed_loop import predict_closed_loop
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME
from dualtalk.training.module import ConversationTraining

# Longest sample video: 8 s.
SAMPLE_FRAMES = 200
# Reading a metric waits for a GPU, so the progress line reads them this often at most.
REFRESH_S = 0.5


class AveragedWeights(EMAWeightAveraging):
    """An exponential moving average of the weights and buffers.

    Validation, sample videos and the final model use the average.
    """

    @property
    def averaged(self) -> ConversationTraining:
        """The module with averaged weights; its state must not be changed.

        Raises
        ------
        RuntimeError
            Training has not started.
        """
        # Lightning 2.6 offers the average only through its hooks, which exchange the weights of the live module.
        if self._average_model is None:
            raise RuntimeError("weights are averaged during training only")
        return cast(ConversationTraining, self._average_model.module)


class SampleVideos(Callback):
    """Renders the first validation conversation every `every_n_steps` steps.

    The averaged model animates it in closed loop.

    Videos are written to `videos/stepNNNNNNNN.mp4` in the folder of the run. The random state of training is
    isolated from the rendering, so that a run with videos learns the same weights as a run without.

    Parameters
    ----------
    every_n_steps : int
        Steps between videos.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self._last_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        training = cast(ConversationTraining, pl_module)
        if not training.model.causal_motion:
            name = type(training.model).__name__
            raise InputError(
                f"{name} needs the whole recording before its first frame; leave out --sample-video-every-n-steps"
            )
        # Fail before the long work if this machine cannot render.
        open_renderer(Scene(load_head(training.head), camera_layout("split"))).close()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or step % self.every_n_steps or step == self._last_step:
            return
        self._last_step = step
        folder = Path(trainer.default_root_dir) / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        # Lightning sets these attributes without declaring them.
        callbacks, data = trainer.callbacks, trainer.datamodule  # type: ignore[attr-defined]
        (weights,) = (one for one in callbacks if isinstance(one, AveragedWeights))
        with isolate_rng():
            try:
                sample = predict_closed_loop(sample_conversation(data), weights.averaged.snapshot())
                head = load_head(weights.averaged.head)
                render_conversation(sample, head, folder / f"step{step:08d}.mp4")
            except DualTalkError as error:
                # Early in training, heads may turn farther than a motion file can hold.
                warnings.warn(f"no video of step {step}: {error}", stacklevel=1)


def sample_conversation(data: ConversationData) -> Conversation:
    """Audio and speech of the first validation window, at most `SAMPLE_FRAMES` long; the same in every call."""
    window = next(iter(data.windows("validation")))
    participants: list[Participant] = []
    for audio, speaking in zip(window.audio.numpy(), window.speech.numpy(), strict=True):
        segments = [Segment(*(frame / MOTION_FPS for frame in run)) for run in runs(speaking[:SAMPLE_FRAMES])]
        participants.append(Participant(audio[: SAMPLE_FRAMES * SAMPLES_PER_FRAME], Timeline(segments)))
    first, second = participants
    return Conversation(first, second, name=str(window.clip))


class TrainingProgress(ProgressBar):
    """One line on the terminal: step, metrics logged with `prog_bar=True`, steps per second, time left.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to write; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._progress = Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=console or Console(stderr=True),
        )
        self._task = self._progress.add_task("step", total=None, metrics="", rate="")
        self._started = (0, 0.0)
        self._refreshed_s = 0.0

    def disable(self) -> None:
        self._progress.disable = True

    def enable(self) -> None:
        self._progress.disable = False

    def print(self, *args: Any, **kwargs: Any) -> None:
        self._progress.console.print(*args, **kwargs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = trainer.max_steps if trainer.max_steps > 0 else int(trainer.estimated_stepping_batches)
        self._progress.update(self._task, total=total, completed=trainer.global_step)
        self._started = (trainer.global_step, time.monotonic())
        self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        last = trainer.global_step == trainer.max_steps
        if self._progress.disable or (time.monotonic() - self._refreshed_s < REFRESH_S and not last):
            return
        self._refreshed_s = time.monotonic()
        metrics = self.get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        first_step, start_s = self._started
        rate = (trainer.global_step - first_step) / max(self._refreshed_s - start_s, 1e-9)
        self._progress.update(
            self._task,
            description="step",
            completed=trainer.global_step,
            metrics=" ".join(f"{name.removeprefix('train/')} {value:.4g}" for name, value in metrics.items()),
            rate=f"{rate:.2f} steps/s",
        )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._progress.update(self._task, description="validating", completed=trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._progress.update(self._task, description="step")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._progress.stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._progress.stop()
