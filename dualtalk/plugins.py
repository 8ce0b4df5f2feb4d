"""Extension points: what the package brings, and what other installed packages add through entry points.

An entry point's group says what it adds: `dualtalk.corpora`, `dualtalk.models`, `dualtalk.metrics`,
`dualtalk.exporters`. Its name is what users type. A plug-in is imported when it is asked for by name or when
all are listed; one that fails to import is named in a warning and the rest works.
"""

import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from dualtalk.errors import InputError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Registry(Generic[T]):
    """Named objects of one kind: the package's own, then those of entry points.

    Parameters
    ----------
    group : str
        Entry-point group, such as "dualtalk.corpora".
    kind : str
        Word for one of the objects in messages, such as "corpus".
    builtin : mapping of str to T or EntryPoint
        The package's own; an EntryPoint is imported when it is first asked for. A plug-in cannot replace one of
        these: its name is skipped with a warning.
    """

    def __init__(self, group: str, kind: str, builtin: Mapping[str, T | EntryPoint]) -> None:
        self.group, self.kind, self.builtin = group, kind, dict(builtin)
        self._loaded: dict[str, T] = {}

    def names(self) -> list[str]:
        """Every name, the package's own first; nothing is imported."""
        return [*self.builtin, *sorted(self._entry_points())]

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self._entry_points()

    def __getitem__(self, name: str) -> T:
        """The object of that name.

        Raises
        ------
        InputError
            There is none of that name, or its package cannot be imported.
        """
        if name in self._loaded:
            return self._loaded[name]
        if name in self.builtin:
            own = self.builtin[name]
            self._loaded[name] = own.load() if isinstance(own, EntryPoint) else own
            return self._loaded[name]
        found = self._entry_points()
        if name not in found:
            raise InputError(f"unknown {self.kind} {name!r}; available: {', '.join(self.names())}")
        try:
            self._loaded[name] = found[name].load()
        except Exception as error:  # another package's import may raise any exception
            raise InputError(
                f"{self.kind} {name!r} ({found[name].value}) cannot be imported: {type(error).__name__}: {error}"
            ) from error
        return self._loaded[name]

    def items(self) -> Iterator[tuple[str, T]]:
        """Every name and object; a plug-in that fails to import is logged as a warning and left out."""
        for name in self.names():
            try:
                yield name, self[name]
            except InputError as error:
                logger.warning("%s", error)

    def _entry_points(self) -> dict[str, EntryPoint]:
        found = {point.name: point for point in entry_points(group=self.group)}
        for name in found.keys() & self.builtin.keys():
            logger.warning("%s %r of %s is skipped: the name is taken", self.kind, name, found.pop(name).value)
        return found
