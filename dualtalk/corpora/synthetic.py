"""The synthetic corpus: a store that `dualtalk synthesize` wrote, read like any other corpus."""

from pathlib import Path

from dualtalk.corpora.corpus import Clip, ClipData, Corpus, PersonTrack, require_folder
from dualtalk.store import open_store
from dualtalk.store.schema import clip_paths, stored_phonemes


class Synthetic(Corpus):
    """A synthetic store; see the module's description."""

    name = "synthetic"
    title = "Synthetic dyads"
    licence = "Apache-2.0"
    citation = "dualtalk"
    download = "dualtalk synthesize --hours 1 --seed 0 --out DIR"
    space = "open"

    def index(self, root: Path) -> list[Clip]:
        store = open_store(require_folder(root))
        return [
            Clip(
                name=row.clip,
                session=row.session,
                person_ids=(row.person_a, row.person_b),
                split=row.split,
                files=tuple(path for path in clip_paths(store.root, row.split, row.clip) if path.is_file()),
            )
            for row in store.manifest.itertuples()
        ]

    def read(self, root: Path, clip: Clip) -> ClipData:
        store = open_store(root)
        conversation, details = store.conversation(clip.name), store.details(clip.name)
        motions = [person.motion.to_numpy() if person.motion else None for person in conversation.participants]
        a, b = (
            PersonTrack(person.audio, motion, speech=person.speech, phonemes=own)
            for person, motion, own in zip(
                conversation.participants, motions, stored_phonemes(details), strict=True
            )
        )
        return ClipData((a, b), events=tuple(details["events"]))
