"""Learning2Listen: short clips of talk shows with the speaker's sound and face and the listener's face.

Layout, as published: `<host>/{train,test}/p{0,1}_{list_faces,speak_faces,speak_audio}_clean_deca.npy`; person p0
sits on the left. Faces (N, 64, 56 or more) at 30 frames a second: FLAME expression 50, head rotation 3, jaw
rotation 3 (then detail codes). Audio (N, 256, 128): mel power spectrogram of the speaker, four columns a frame.
Where `pX_list` listens, `p(1-X)_speak` with the same index speaks.

No waveform was published. The reader reconstructs one from the mel spectrogram by Griffin-Lim; the quality
suffices for models whose input is a mel spectrogram. The listener's audio is silence.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pyannote.core import Timeline

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.io.names import file_safe_name
from dualtalk.timebase import AUDIO_RATE_HZ

FPS, COLUMNS_PER_FRAME, MEL_BANDS = 30.0, 4, 128
EXPRESSION, HEAD, JAW = slice(0, 50), slice(50, 53), slice(53, 56)
FFT, WINDOW, HOP = 512, 400, 160
PEAK_AMPLITUDE = 0.3


class Learning2Listen(Corpus):
    """The published corpus; see the module's description."""

    name = "l2l"
    title = "Learning2Listen"
    licence = "none stated: ask the authors before you redistribute anything"
    citation = (
        "Ng, Joo, Hu, Li, Darrell, Kanazawa, Ginosar: Learning To Listen: Modeling Non-Deterministic Dyadic "
        "Facial Motion. CVPR 2022, pp. 20395-20405, arXiv:2204.08451"
    )
    download = "the links in the README of evonneng/learning2listen; unpack to <host>/{train,test}/"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        clips = []
        for listener_faces in sorted(root.glob("*/*/p[01]_list_faces_clean_deca.npy")):
            clips += self._entries(listener_faces)
        if not clips:
            raise InputError(f"{root} has no <host>/<split>/p0_list_faces_clean_deca.npy")
        return clips

    def _entries(self, listener_faces: Path) -> list[Clip]:
        host, split = (file_safe_name(one.name) for one in (listener_faces.parents[1], listener_faces.parent))
        listener = listener_faces.name[:2]
        speaker = "p1" if listener == "p0" else "p0"
        faces, audio = (
            listener_faces.with_name(f"{speaker}_speak_{kind}_clean_deca.npy") for kind in ("faces", "audio")
        )
        errors = tuple(f"{path.name} is missing" for path in (faces, audio) if not path.is_file())
        count = 1
        try:
            count = len(_map_array(listener_faces))
            if not errors and {len(_map_array(faces)), len(_map_array(audio))} != {count}:
                errors = (f"{listener_faces.name}, {faces.name} and {audio.name} have different numbers of clips",)
        except InputError as error:
            errors = (*errors, str(error))
        return [
            Clip(
                name=f"{host}_{split}_{listener}_{number:05d}",
                session=f"{host}_{split}",
                person_ids=(f"{host}_{split}_{speaker}", f"{host}_{split}_{listener}"),
                split=split if split in ("train", "test") else "",
                files=(listener_faces, *(path for path in (faces, audio) if path.is_file())),
                key=str(number),
                errors=errors,
            )
            for number in range(count)
        ]

    def read(self, root: Path, clip: Clip) -> ClipData:
        number = int(clip.key)
        listener, speaker, mel = (np.array(_map_array(path)[number], np.float32) for path in clip.files)
        if listener.shape != speaker.shape or listener.ndim != 2 or listener.shape[1] < JAW.stop:
            raise InputError(f"faces of {listener.shape} and {speaker.shape}; wanted two of (64, 56 or more)")
        if mel.shape != (COLUMNS_PER_FRAME * len(listener), MEL_BANDS):
            raise InputError(f"audio of {mel.shape} for {len(listener)} frames; wanted (4 T, {MEL_BANDS})")
        speaker_track = PersonTrack(audio_from_mel(mel), _motion(speaker), FPS)
        listener_track = PersonTrack(None, _motion(listener), FPS, speech=Timeline())
        return ClipData((speaker_track, listener_track), notes=("audio reconstructed from mel bands",))


def _map_array(path: Path) -> np.ndarray:
    """Memory-map the array of a .npy file."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        # A damaged file can raise almost anything.
        raise InputError(f"{path} is not a plain array ({error})") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or not array.size or array.dtype.kind != "f":
        raise InputError(f"{path} holds no (clip, row, number) array of floating-point numbers")
    return array


def _motion(face: Float32[np.ndarray, "frame coef"]) -> dict[str, np.ndarray]:
    return {"exp": face[:, EXPRESSION], "pose": face[:, HEAD.start : JAW.stop]}


def audio_from_mel(mel: Float32[np.ndarray, "column 128"]) -> Float32[np.ndarray, "sample"]:
    """Reconstruct 16 kHz audio from mel power at 120 columns a second (Griffin & Lim 1984)."""
    import torch

    from dualtalk.audio.third_party import GriffinLim, melscale_fbanks

    columns = torch.from_numpy(mel.T.copy()).clamp_min(0)[None]
    seconds = len(mel) / (FPS * COLUMNS_PER_FRAME)
    hops = round(seconds * AUDIO_RATE_HZ / HOP) + 1
    at_hops = torch.nn.functional.interpolate(columns, size=hops, mode="linear", align_corners=True)
    banks = melscale_fbanks(
        FFT // 2 + 1, 0.0, AUDIO_RATE_HZ / 2, MEL_BANDS, AUDIO_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    power = (torch.linalg.pinv(banks.T) @ at_hops[0]).clamp_min(0)
    griffin_lim = GriffinLim(FFT, 32, WINDOW, HOP, power=2.0, rand_init=False)
    samples = round(seconds * AUDIO_RATE_HZ)
    audio = griffin_lim(power[None])[0].numpy()
    audio = np.pad(audio, (0, max(samples - len(audio), 0)))[:samples].astype(np.float32)
    return audio * np.float32(PEAK_AMPLITUDE / max(float(np.abs(audio).max()), PEAK_AMPLITUDE))
