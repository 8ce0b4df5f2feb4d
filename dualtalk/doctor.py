"""Checks of this machine, each with a remedy.

Each check runs a small part of the real work: it renders a frame, encodes a second of video, or analyses a
second of audio.
"""

import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from dualtalk.errors import DualTalkError

REINSTALL = "reinstall: pip install -c constraints.txt dualtalk"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name : str
    attempt : callable
        Returns a description of what works, or raises.
    remedy : str
        What to do if it fails; a `DualTalkError` names its own remedy.
    required : bool
        Whether `simulate` needs it.
    """

    name: str
    attempt: Callable[[], str]
    remedy: str = REINSTALL
    required: bool = True


@dataclass(frozen=True)
class Finding:
    """The result of a check; `message` is the description of what works, or the remedy."""

    name: str
    works: bool
    required: bool
    message: str


def examine() -> list[Finding]:
    """Run all checks."""
    return [_try(check) for check in CHECKS]


def show(findings: list[Finding]) -> bool:
    """Print a table; return whether every required check passed."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        mark = "[green]works" if finding.works else "[red]fails" if finding.required else "[yellow]absent"
        table.add_row(mark, finding.name, finding.message)
    Console().print(table)
    return all(finding.works for finding in findings if finding.required)


def _try(check: Check) -> Finding:
    try:
        return Finding(check.name, True, check.required, check.attempt())
    except DualTalkError as error:
        message = str(error)
    except Exception as error:
        message = f"{check.remedy} ({type(error).__name__}: {error})"
    return Finding(check.name, False, check.required, " ".join(message.split()))


def _python() -> str:
    return f"{platform.python_version()}, {sys.prefix}"


def _torch() -> str:
    import torch

    torch.ones(2) @ torch.ones(2)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU; none is needed"
    return f"{torch.__version__}, {where}"


def _pyannote() -> str:
    import dualtalk.audio.third_party  # noqa: F401

    return f"{version('pyannote.audio')}, telemetry off"


def _voice_activity() -> str:
    from dualtalk.audio.voice_activity import detect_speech

    spans = len(detect_speech(_a_second_of_hum()))
    return f"bundled weights run ({spans} speech segments in a hum)"


def _phonemes() -> str:
    from pyannote.core import Segment, Timeline

    from dualtalk.audio.phonemes import recognise_phonemes

    recognise_phonemes(_a_second_of_hum(), Timeline([Segment(0, 1)]))
    return f"hama {version('hama')}"


def _head() -> str:
    from dualtalk.head import load_head

    head = load_head("open")
    flame = (
        f"FLAME by smplx {version('smplx')}" if find_spec("smplx") else "FLAME needs pip install 'dualtalk[flame]'"
    )
    return f"open head, {len(head.template)} vertices; {flame}"


def _renders(renderer_name: Literal["moderngl", "pyrender"]) -> Callable[[], str]:
    def attempt() -> str:
        from dualtalk.head import load_head
        from dualtalk.render.renderer import open_renderer
        from dualtalk.render.scene import Scene, camera_layout

        head = load_head("open")
        renderer = open_renderer(Scene(head, camera_layout("split"), size=(128, 64)), renderer_name)
        try:
            if np.ptp(renderer.frame(head.template, head.template)) == 0:
                raise RuntimeError("the frame is blank")
        finally:
            renderer.close()
        return version(renderer_name)

    return attempt


def _encoder() -> str:
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "second.mp4"
        writer = imageio_ffmpeg.write_frames(path, (64, 64), fps=25, codec="libx264")
        writer.send(None)
        for _ in range(25):
            writer.send(np.zeros((64, 64, 3), np.uint8))
        writer.close()
        if not path.stat().st_size:
            raise RuntimeError("ffmpeg wrote an empty file")
    return f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}, H.264"


def _voices() -> str:
    from dualtalk.synthesis.voices import SpeakerVoice, synthesize_speech

    spoken = synthesize_speech(
        [(SpeakerVoice("flite", "slt"), "Hello."), (SpeakerVoice("espeak-ng", "en+f1"), "Hello.")]
    )
    return f"flite and espeak-ng speak ({spoken[0].duration_s:.1f} and {spoken[1].duration_s:.1f} s)"


def _a_second_of_hum() -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * 120 * np.arange(16_000) / 16_000)).astype(np.float32)


CHECKS = (
    Check("Python", _python),
    Check("torch", _torch),
    Check("pyannote.audio", _pyannote),
    Check("voice activity", _voice_activity),
    Check("phonemes", _phonemes),
    Check("head", _head),
    Check("rendering: moderngl", _renders("moderngl")),
    Check("rendering: pyrender", _renders("pyrender"), required=False),
    Check("video encoder", _encoder),
    Check("synthetic voices", _voices, required=False),
)
