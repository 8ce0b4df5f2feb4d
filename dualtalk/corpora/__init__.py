"""Corpora of two-person conversations: one file a corpus, one contract, and a registry that plug-ins extend.

Another package adds a corpus through an entry point in the group `dualtalk.corpora`. The entry point's name is
what users type after `--corpus`; its object is a subclass of `dualtalk.corpora.corpus.Corpus`::

    [project.entry-points."dualtalk.corpora"]
    my_corpus = "my_package.my_corpus:MyCorpus"

`dualtalk.corpora.contract.contract_errors` checks such a class. Importing this module imports no corpus.
"""

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from dualtalk.errors import InputError
from dualtalk.plugins import Registry

if TYPE_CHECKING:
    from dualtalk.corpora.corpus import Corpus

__all__ = ["ALIASES", "CORPORA", "corpora_help", "get_corpus"]

GROUP = "dualtalk.corpora"
_CLASSES = {
    "dualtalk_corpus": "DualTalkCorpus",
    "seamless": "SeamlessInteraction",
    "unils": "UniLSTalk",
    "l2l": "Learning2Listen",
    "arkit": "ArkitRecordings",
    "speechocean762": "Speechocean762",
    "recordings": "Recordings",
    "synthetic": "Synthetic",
}
CORPORA: Registry[type["Corpus"]] = Registry(
    GROUP,
    "corpus",
    {name: EntryPoint(name, f"dualtalk.corpora.{name}:{cls}", GROUP) for name, cls in _CLASSES.items()},
)
# Further names that `get_corpus` accepts: the published corpus is called DualTalk, as this package is.
ALIASES = {"dualtalk": "dualtalk_corpus"}


def get_corpus(name: str) -> "Corpus":
    """Return an instance of the corpus with this name or alias.

    Raises
    ------
    InputError
        No corpus has this name (the message lists the names), the package that provides it fails to import, or
        what it provides is not a corpus class.
    """
    from dualtalk.corpora.corpus import Corpus

    found = CORPORA[ALIASES.get(name, name)]
    if not (isinstance(found, type) and issubclass(found, Corpus)):
        raise InputError(f"corpus {name!r} is {found!r}; wanted a subclass of dualtalk.corpora.corpus.Corpus")
    return found()


def corpora_help() -> str:
    """List every corpus name, with its alias, for help texts. Imports no corpus."""
    aliases = {name: alias for alias, name in ALIASES.items()}
    return ", ".join(f"{name} (or {aliases[name]})" if name in aliases else name for name in CORPORA.names())
