"""The export formats by name: the bundled ones and those of other packages.

An exporter receives a `dualtalk.export.Export` and an empty folder, writes files into the folder, and returns
notes: one line for each thing that the format does not keep exactly. It writes motion in the motion's own space.
It retargets motion to another head only if the format is defined in that head's expressions and the user gave a
head file.

Another package adds a format with an entry point that names an `Exporter`:

    [project.entry-points."dualtalk.exporters"]
    my-format = "my_package.module:EXPORTER"
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dualtalk.errors import InputError
from dualtalk.plugins import Registry
from dualtalk.timebase import MOTION_FPS

if TYPE_CHECKING:
    from dualtalk.export.contents import Export

# The rate of the motion, and the rate at which the Live Link Face app records.
LIVE_LINK_RATES_FPS = (MOTION_FPS, 60)


@dataclass(frozen=True)
class Exporter:
    """An export format.

    Attributes
    ----------
    help : str
        A few words: which programs read the format, or what it contains.
    write : callable (Export, Path) -> list of str
        Writes into an empty folder and returns notes, one line for each thing that is not exact. Raises InputError
        if the motion cannot be written, and SetupError if a package is missing.
    rates_fps : tuple of int
        Frame rates that `write` supports.
    needs_bfm : bool
        Whether `write` needs the user's file of the Basel face model.
    """

    help: str
    write: "Callable[[Export, Path], list[str]]"
    rates_fps: tuple[int, ...] = (MOTION_FPS,)
    needs_bfm: bool = False


def _bundled(function: str, module: str = "formats") -> "Callable[[Export, Path], list[str]]":
    """A writer of a module of `dualtalk.export`, imported when it is first called."""

    def write(export: "Export", folder: Path) -> list[str]:
        return getattr(import_module(f"dualtalk.export.{module}"), function)(export, folder)

    return write


def _family(module: str, helps: dict[str, str]) -> dict[str, Exporter]:
    """The formats of a module that writes a family of formats by name."""

    def writer(name: str) -> "Callable[[Export, Path], list[str]]":
        def write(export: "Export", folder: Path) -> list[str]:
            return import_module(f"dualtalk.export.{module}").write(export, folder, name)

        return write

    return {name: Exporter(text, writer(name)) for name, text in helps.items()}


EXPORTERS: Registry[Exporter] = Registry(
    "dualtalk.exporters",
    "format",
    {
        "arkit-csv": Exporter("Live Link Face", _bundled("write_arkit_csv"), LIVE_LINK_RATES_FPS),
        "glb": Exporter("glTF 2.0", _bundled("write_glb_dialogue")),
        "usd": Exporter("UsdSkel", _bundled("write_usd_dialogue"), rates_fps=(MOTION_FPS, 60)),
        "flame-npz": Exporter("the layout of DualTalk, Peng et al. 2025", _bundled("write_flame_npz")),
        "parquet": Exporter("a table row per frame", _bundled("write_parquet")),
        "csv": Exporter("the same table as text", _bundled("write_csv")),
        "obj": Exporter("a mesh per frame", _bundled("write_obj")),
        "ply": Exporter("a mesh per frame, with colours", _bundled("write_ply")),
        **_family(
            "blendshape_files",
            {
                "a2f-json": "Audio2Face",
                "lam-json": "LAM",
                "talkinghead": "TalkingHead",
            },
        ),
        "driving-video": Exporter("each head alone, frontal", _bundled("write_driving_video", "driving_video")),
        "landmarks": Exporter("68 and 478 points", _bundled("write_landmarks", "landmark_files")),
        "bfm": Exporter(
            "SadTalker, PIRender, StyleTalk, DreamTalk, Real3D-Portrait, GeneFace",
            _bundled("write_bfm", "bfm_files"),
            needs_bfm=True,
        ),
        **_family(
            "speaker_avatars",
            {
                "synctalk": "SyncTalk",
                "talkinggaussian": "TalkingGaussian",
            },
        ),
        "liveportrait": Exporter("LivePortrait template", _bundled("write_liveportrait", "implicit_keypoints")),
        "ditto": Exporter("Ditto control", _bundled("write_ditto", "implicit_keypoints")),
        "vrma": Exporter("VRM animation", _bundled("write_vrma", "vrma")),
        **_family(
            "blendshape_files",
            {
                "emotalk": "EmoTalk",
                "blendvoca": "SAiD, BlendVOCA",
            },
        ),
        **_family(
            "flame_avatars",
            {
                "vhap": "GaussianAvatars, LAM, MeGA",
                "metrical": "INSTA, GaussianBlendshapes, FlashAvatar",
                "hravatar": "HRAvatar",
                "pointavatar": "PointAvatar, IMavatar",
                "cap4d": "CAP4D",
                "gaussian-head-avatar": "Gaussian Head Avatar",
                "cvthead": "CVTHead",
                "portrait4d": "Portrait4D",
                "artalk": "ARTalk, GAGAvatar",
            },
        ),
    },
)


def format_help() -> str:
    """One line for the command line: every format, and what each bundled one is. Imports no plug-in."""

    def described(name: str) -> str:
        exporter = EXPORTERS.builtin.get(name)
        return f"{name} ({exporter.help})" if isinstance(exporter, Exporter) else name

    return ", ".join(map(described, EXPORTERS.names()))


def check_format(name: str, fps: int = MOTION_FPS, *, has_bfm: bool = False) -> None:
    """Check that a format exists, supports a frame rate, and has the files that it needs.

    Raises
    ------
    InputError
        There is no format `name`, it cannot be written at `fps`, or it needs a file of the Basel face model.
    """
    names = EXPORTERS.names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"unknown format {name!r}; available: {', '.join(names)}{hint}")
    rates_fps = EXPORTERS[name].rates_fps
    if fps not in rates_fps:
        supported = " or ".join(str(rate) for rate in rates_fps)
        raise InputError(f"{name} has {supported} frames a second, not {fps}; check --fps")
    if EXPORTERS[name].needs_bfm and not has_bfm:
        raise InputError(f"{name} needs the Basel face model: pass --bfm with your BFM_model_front.mat")
