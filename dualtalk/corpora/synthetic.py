"""The synthetic corpus: a store that `dualtalk synthesize` made, read like any other corpus."""

from pathlib import Path

from dualtalk.corpora.corpus import Clip, Corpus, Side, Source, folder_of
from dualtalk.store import open_store
from dualtalk.store.schema import clip_paths


class Synthetic(Corpus):
    name = "synthetic"
    title = "Synthetic dyads"
    licence = "Apache-2.0"
    citation = "dualtalk"
    how_to_get = "dualtalk synthesize --hours 1 --seed 0 --out DIR"
    space = "open"

    def index(self, root: Path) -> list[Clip]:
        store = open_store(folder_of(root))
        return [
            Clip(
                name=row.clip,
                session=row.session,
                people=(row.person_a, row.person_b),
                split=row.split,
                files=tuple(path for path in clip_paths(store.root, row.split, row.clip) if path.is_file()),
            )
            for row in store.manifest.itertuples()
        ]

    def read(self, root: Path, clip: Clip) -> Source:
        talk = open_store(root).conversation(clip.name)
        sides = [
            Side(person.audio, person.motion.to_numpy() if person.motion else None, speech=person.speech)
            for person in talk.participants
        ]
        return Source((sides[0], sides[1]))
