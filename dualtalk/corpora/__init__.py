"""Corpora of two people in conversation, one file each, behind one contract."""

from dualtalk.corpora.arkit import ArkitRecordings
from dualtalk.corpora.corpus import Clip, Corpus, Side, Source
from dualtalk.corpora.dualtalk_corpus import DualTalk
from dualtalk.corpora.l2l import Learning2Listen
from dualtalk.corpora.recordings import Recordings
from dualtalk.corpora.seamless import SeamlessInteraction
from dualtalk.corpora.synthetic import Synthetic
from dualtalk.corpora.unils import UniLSTalk
from dualtalk.errors import InputError

__all__ = ["CORPORA", "Clip", "Corpus", "Side", "Source", "corpus_named"]

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        *(DualTalk(), SeamlessInteraction(), UniLSTalk(), Learning2Listen()),
        *(ArkitRecordings(), Recordings(), Synthetic()),
    )
}


def corpus_named(name: str) -> Corpus:
    """The corpus of that name.

    Raises
    ------
    InputError
        There is none; the message says which there are.
    """
    if name not in CORPORA:
        raise InputError(f"no corpus called {name!r}; there are {', '.join(CORPORA)}")
    return CORPORA[name]
