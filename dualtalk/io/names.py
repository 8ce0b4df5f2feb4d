"""Names that become parts of file names: names of clips, recordings, splits and shards.

A name that comes from a file decides where other files are written. `check_name` is called before a path is made
of such a name; `file_safe_name` makes a usable name out of any text.
"""

import hashlib
import re
import unicodedata

from dualtalk.errors import InputError

# Linux and macOS allow 255 bytes; a suffix such as _speaker1.wav needs some of them.
LONGEST_NAME_BYTES = 200
# The usual names, which need no closer look.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@-]{0,199}")
_DRIVE = re.compile(r"^([A-Za-z]):")


def file_safe_name(name: str) -> str:
    """Make a name usable as a file name and as a field of an RTTM line; a usable name stays as it is.

    Slashes, white space, control characters and bytes that are not UTF-8 become underscores, and so do a first dot
    and the colon of a drive. The end of a name over 200 bytes is replaced by a digest of the name.

    >>> file_safe_name("../a call")
    '_._a_call'
    """
    if _PLAIN.fullmatch(name):
        return name
    spaced = "".join(" " if _separates(one) else one for one in re.sub(r"[/\\]", "_", name))
    safe = _DRIVE.sub(r"\1_", re.sub(r"^\.", "_", "_".join(spaced.split())))
    encoded = safe.encode()
    if len(encoded) <= LONGEST_NAME_BYTES:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: LONGEST_NAME_BYTES - 9].decode(errors='ignore')}_{digest}"


def check_name(name: object, what: str) -> str:
    """Return `name` if it is usable as a file name.

    Parameters
    ----------
    name : object
        A name as a file gives it.
    what : str
        What it names, and where it was found; for the error.

    Raises
    ------
    InputError
        Not a text, empty, too long, or a path: it could lead out of the folder.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"{what} is {name!r}; wanted a name")
    if _PLAIN.fullmatch(name):
        return name
    safe = file_safe_name(name)
    if safe != name:
        beginning = name if len(name) <= 60 else f"{name[:57]}..."
        raise InputError(f"{what} is {beginning!r}; wanted a plain name, such as {safe[:60]!r}")
    return name


def _separates(character: str) -> bool:
    """White space, control and formatting characters, and lone surrogates, which stand for bytes not in UTF-8."""
    return character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
