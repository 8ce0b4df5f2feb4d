"""Learning2Listen: short clips of talk shows, the speaker's sound and face and the listener's face.

Layout, as published: `<host>/{train,test}/p{0,1}_{list_faces,speak_faces,speak_audio}_clean_deca.npy`; person p0
sits on the left. Faces (N, 64, 56 or more) at 30 frames a second: FLAME expression 50, head rotation 3, jaw 3
(then detail codes). Audio (N, 256, 128): a mel power spectrogram of the speaker, four columns a frame. Where
`pX_list` listens, `p(1-X)_speak` of the same number speaks.

No waveform was published. A sound is rebuilt from the mel columns (their phase is guessed), good enough to be
heard by a model that listens to mel bands. The listener's side is silent.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pyannote.core import Timeline

from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of
from dualtalk.errors import InputError
from dualtalk.timebase import AUDIO_RATE_HZ

FPS, COLUMNS_A_FRAME, MEL_BANDS = 30.0, 4, 128
EXPRESSION, HEAD, JAW = slice(0, 50), slice(50, 53), slice(53, 56)
FFT, WINDOW, HOP = 512, 400, 160
LARGEST_SAMPLE = 0.3


class Learning2Listen(Corpus):
    name = "l2l"
    title = "Learning2Listen"
    licence = "none stated: ask the authors before you pass anything on"
    citation = (
        "Ng, Joo, Hu, Li, Darrell, Kanazawa, Ginosar: Learning To Listen: Modeling Non-Deterministic Dyadic "
        "Facial Motion. CVPR 2022, pp. 20395-20405, arXiv:2204.08451"
    )
    how_to_get = "the links in the README of evonneng/learning2listen; unpack to <host>/{train,test}/"
    space = "flame"

    def index(self, root: Path) -> list[Clip]:
        root = folder_of(root)
        clips = []
        for listening in sorted(root.glob("*/*/p[01]_list_faces_clean_deca.npy")):
            clips += self._entries(listening)
        if not clips:
            raise InputError(f"{root} has no <host>/<split>/p0_list_faces_clean_deca.npy")
        return clips

    def _entries(self, listening: Path) -> list[Clip]:
        host, split, listener = listening.parents[1].name, listening.parent.name, listening.name[:2]
        speaker = "p1" if listener == "p0" else "p0"
        faces, audio = (
            listening.with_name(f"{speaker}_speak_{what}_clean_deca.npy") for what in ("faces", "audio")
        )
        missing = tuple(f"{path.name} is missing" for path in (faces, audio) if not path.is_file())
        count = len(_rows(listening))
        faults = missing
        if not missing and {len(_rows(faces)), len(_rows(audio))} != {count}:
            faults = (f"{listening.name}, {faces.name} and {audio.name} have different numbers of clips",)
        return [
            Clip(
                name=f"{host}_{split}_{listener}_{number:05d}",
                session=f"{host}_{split}",
                people=(f"{host}_{split}_{speaker}", f"{host}_{split}_{listener}"),
                split=split if split in ("train", "test") else "",
                files=(listening, *(path for path in (faces, audio) if path.is_file())),
                key=str(number),
                faults=faults,
            )
            for number in range(count)
        ]

    def read(self, root: Path, clip: Clip) -> Source:
        number = int(clip.key)
        listener, speaker, mel = (np.array(_rows(path)[number], np.float32) for path in clip.files)
        if listener.shape != speaker.shape or listener.ndim != 2 or listener.shape[1] < JAW.stop:
            raise InputError(f"faces of {listener.shape} and {speaker.shape}; wanted two of (64, 56 or more)")
        if mel.shape != (COLUMNS_A_FRAME * len(listener), MEL_BANDS):
            raise InputError(f"audio of {mel.shape} for {len(listener)} frames; wanted (4 T, {MEL_BANDS})")
        speaking = Side(sound_of_mel(mel), _motion(speaker), FPS)
        listening = Side(None, _motion(listener), FPS, speech=Timeline())
        return Source((speaking, listening), notes=("sound rebuilt from mel bands",))


def _rows(path: Path) -> np.ndarray:
    """The file's array, not read but mapped."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is not a plain array ({error})") from error


def _motion(face: Float32[np.ndarray, "frame coef"]) -> dict[str, np.ndarray]:
    return {"exp": face[:, EXPRESSION], "pose": face[:, HEAD.start : JAW.stop]}


def sound_of_mel(mel: Float32[np.ndarray, "column 128"]) -> Float32[np.ndarray, "sample"]:
    """16 kHz sound whose mel power is `mel` at 120 columns a second, by Griffin & Lim 1984."""
    import torch

    from dualtalk.audio.third_party import GriffinLim, melscale_fbanks

    columns = torch.from_numpy(mel.T.copy()).clamp_min(0)[None]
    seconds = len(mel) / (FPS * COLUMNS_A_FRAME)
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
    return audio * np.float32(LARGEST_SAMPLE / max(float(np.abs(audio).max()), LARGEST_SAMPLE))
