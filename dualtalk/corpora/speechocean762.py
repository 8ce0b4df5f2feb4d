"""speechocean762: people with Mandarin accents read English sentences; adults only, paired into dialogues.

Layout, as published: Kaldi's folders `train` and `test` with `text`, `utt2spk`, `spk2age` and `wav.scp`; audio in
`WAVE/SPEAKER<speaker>/<line>.WAV`, 16 kHz mono; and `resource/lexicon.txt`.

The corpus has single lines of single people. A clip is a dialogue of ten lines of one person and ten of another:
the words are aligned with the audio, lines that do not align are left out, the others are scheduled and recorded
in a simulated room as in the synthetic corpus, and the rule-based animator generates the motion from the aligned
phonemes. Every line is used once. The official test speakers are the split "test"; a part of the training speakers
is held out as "validation".

Needs `pip install 'dualtalk[alignment,synthesis]'`.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from dualtalk.audio.alignment_checks import alignment_fault, line_score
from dualtalk.audio.forced_alignment import AlignedWord, AlignmentError, ForcedAligner
from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.errors import InputError
from dualtalk.head.identity import draw_identity
from dualtalk.io.audio_file import read_wave
from dualtalk.timebase import MOTION_FPS

PARTS, LEXICON = ("train", "test"), Path("resource") / "lexicon.txt"
ADULT_AGE = 16
VALIDATION_SHARE = 0.18
# Factor on all frequencies and on the speech rate, drawn for each line of the training split: the corpus is read
# slowly, and by few voices.
FREQUENCY_SCALE_RANGE = (0.92, 1.15)
# A clip with fewer usable lines of one person is no dialogue.
FEWEST_LINES = 3
TAIL_S = 0.6
ANIMATOR_SEED = 0


@dataclass(frozen=True, eq=False)
class AlignedLine:
    """A line with its audio and the times of its words."""

    audio: np.ndarray
    words: tuple[AlignedWord, ...]


class Speechocean762(Corpus):
    """The published corpus; see the module's description."""

    name = "speechocean762"
    title = "speechocean762"
    licence = "free download for both commercial and non-commercial purposes, as its README says"
    citation = (
        "Zhang et al.: speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation "
        "Assessment. Interspeech 2021, arXiv:2104.01378"
    )
    download = "https://www.openslr.org/101, or git clone https://github.com/jimbozhang/speechocean762"
    space = "open"

    def index(self, root: Path) -> list[Clip]:
        root = require_folder(root)
        clips = []
        for part in PARTS:
            lines, paths = _lines_of_adults(root, part), _read_table(root / part / "wav.scp")
            for split, speakers in _split_speakers(part, sorted(lines, key=_digest)).items():
                for one, other in _pair(speakers):
                    own = lines[one][len(lines[one]) // 2 :], lines[other][: len(lines[other]) // 2]
                    files = tuple(root / paths.get(line, f"{line}.WAV") for both in own for line in both)
                    clips.append(self._entry(split, one, other, files))
        if not clips:
            raise InputError(f"{root} has fewer than two adults in {' and in '.join(PARTS)}")
        return sorted(clips, key=lambda clip: clip.name)

    def _entry(self, split: str, one: str, other: str, files: tuple[Path, ...]) -> Clip:
        name = f"{self.name}_{one}_{other}"
        missing = tuple(f"{path.name} is missing" for path in files if not path.is_file())
        return Clip(
            name,
            session=name,
            person_ids=(f"{self.name}_{one}", f"{self.name}_{other}"),
            split=split,
            files=files,
            key=f"{one} {other}",
            errors=missing,
        )

    def read(self, root: Path, clip: Clip) -> ClipData:
        from dualtalk.synthesis.recorded_lines import phrases_of_line, schedule_lines
        from dualtalk.synthesis.recording import event_rows, random_stream, record_dialogue

        rng = random_stream(self.name, clip.name)
        aligned, left_out = _align_clip(require_folder(root), clip)
        phrases: list[list] = []
        for own in aligned:
            scales = [rng.uniform(*FREQUENCY_SCALE_RANGE) if clip.split == "train" else 1.0 for _ in own]
            lines = zip(own, scales, strict=True)
            phrases.append([phrases_of_line(line.audio, line.words, round(scale, 3)) for line, scale in lines])
        scheduled = schedule_lines((phrases[0], phrases[1]), rng)
        frames = math.ceil((max(one.speech_end_s for one in scheduled) + TAIL_S) * MOTION_FPS)
        a, b = (draw_identity(random_stream("face", person)) for person in clip.person_ids)
        dialogue = record_dialogue(clip.name, scheduled, (a, b), frames, ANIMATOR_SEED, rng)
        tracks = [
            PersonTrack(person.audio, person.required_motion.to_numpy(), speech=person.speech, phonemes=phonemes)
            for person, phonemes in zip(dialogue.conversation.participants, dialogue.phonemes, strict=True)
        ]
        return ClipData(
            (tracks[0], tracks[1]),
            notes=(f"{len(left_out)} of {len(clip.files)} lines left out",) if left_out else (),
            metadata={"lines": dialogue.lines, "recording": asdict(dialogue.setup), "left_out": left_out},
            events=tuple(event_rows(dialogue)),
        )


def _read_table(path: Path) -> dict[str, str]:
    """One of Kaldi's tables: a key and a value in each line."""
    try:
        rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted the folder of speechocean762") from error
    return {row[0]: row[1].strip() if len(row) > 1 else "" for row in rows}


def _lines_of_adults(root: Path, part: str) -> dict[str, list[str]]:
    """Lines of each adult speaker of "train" or "test", sorted by name."""
    ages = _read_table(root / part / "spk2age")
    lines: dict[str, list[str]] = {}
    for line, speaker in sorted(_read_table(root / part / "utt2spk").items()):
        if int(ages.get(speaker, 0)) >= ADULT_AGE:
            lines.setdefault(speaker, []).append(line)
    return lines


def _digest(speaker: str) -> str:
    return hashlib.sha256(speaker.encode()).hexdigest()


def _split_speakers(part: str, speakers: Sequence[str]) -> dict[str, Sequence[str]]:
    if part == "test":
        return {"test": speakers}
    held_out = round(VALIDATION_SHARE * len(speakers))
    if held_out < 2:
        return {"train": speakers}
    return {"validation": speakers[:held_out], "train": speakers[held_out:]}


def _pair(speakers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Ordered pairs, each speaker first in one and second in one: within twos, the last three of an odd number."""
    count = len(speakers)
    for first in range(0, count - 1, 2):
        group = speakers[first:] if first + 3 == count else speakers[first : first + 2]
        yield from zip(group, (*group[1:], group[0]), strict=True)
        if len(group) == 3:
            return


def _align_clip(root: Path, clip: Clip) -> tuple[tuple[list[AlignedLine], list[AlignedLine]], list[list[str]]]:
    """The usable lines of both people, and each line that is left out with the reason.

    Raises
    ------
    InputError
        A person has too few usable lines.
    """
    texts = {line: text for part in PARTS for line, text in _read_table(root / part / "text").items()}
    speaker_of = {line: one for part in PARTS for line, one in _read_table(root / part / "utt2spk").items()}
    usable: list[list[AlignedLine]] = []
    left_out: list[list[str]] = []
    for speaker in clip.key.split():
        paths = [path for path in clip.files if speaker_of[path.stem] == speaker]
        kept, reasons = _align_lines([(path, texts[path.stem]) for path in paths], root / LEXICON)
        if len(kept) < FEWEST_LINES:
            raise InputError(f"only {len(kept)} of {len(paths)} lines of speaker {speaker} are usable: {reasons}")
        usable.append(kept)
        left_out += reasons
    return (usable[0], usable[1]), left_out


def _align_lines(lines: Sequence[tuple[Path, str]], lexicon: Path) -> tuple[list[AlignedLine], list[list[str]]]:
    """One speaker's usable lines, and the others with the reason."""
    aligner, found, left_out = _cached_aligner(lexicon), {}, []
    for path, text in lines:
        (audio, *_) = read_wave(path)
        try:
            found[path.stem] = AlignedLine(audio, aligner.align(audio, text.split()))
        except AlignmentError as error:
            left_out.append([path.stem, str(error)])
    typical = float(np.median([line_score(line.words) for line in found.values()])) if found else 0.0
    kept = []
    for name, line in found.items():
        if fault := alignment_fault(line.audio, line.words, typical):
            left_out.append([name, fault])
        else:
            kept.append(line)
    return kept, left_out


@cache
def _cached_aligner(lexicon: Path) -> ForcedAligner:
    """An aligner that has the corpus's pronunciations in addition; the first of a word counts, without stress."""
    pronunciations: dict[str, list[str]] = {}
    for line in lexicon.read_text(encoding="utf-8").splitlines() if lexicon.is_file() else ():
        word, *phones = line.split()
        pronunciations.setdefault(word.lower(), [phone.rstrip("012") for phone in phones])
    return ForcedAligner(pronunciations)
