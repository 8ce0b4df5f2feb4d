"""Errors that a user can act on.

These errors are expected: the command line prints the message on one line and exits with status 2, without a
traceback. A message says what came, what was wanted, and the likely slip.
"""


class DualTalkError(Exception):
    """An expected error: one line a user can act on."""


class InputError(DualTalkError):
    """A file, a folder or a value is invalid."""


class WriteError(InputError):
    """A result cannot be written: the disk is full or read-only, or the folder is missing."""


class SetupError(DualTalkError):
    """This machine lacks something: a system library, an optional package, or weights."""


class Interrupted(DualTalkError):
    """Ctrl-C during work that can be resumed; the message says how."""


def missing_extra(purpose: str, extra: str, error: ImportError) -> SetupError:
    """The error for a package of an extra that is not installed.

    Parameters
    ----------
    purpose : str
        What needs the package, such as "training".
    extra : str
        Name of the extra in pyproject.toml.
    error : ImportError
        What the import raised; its `name` is the package.
    """
    package = (error.name or str(error)).split(".")[0]
    return SetupError(f"{purpose} needs the package {package}: pip install 'dualtalk[{extra}]'")
