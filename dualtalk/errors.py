"""Errors a user can act on.

Anything raised here is expected: the command line prints its message on one line and exits with 2, without a
traceback. A message says what came, what was wanted, and the likely slip.
"""


class DualTalkError(Exception):
    """An expected error: one line a user can act on."""


class InputError(DualTalkError):
    """A file, a folder or a value is not what was asked for."""


class SetupError(DualTalkError):
    """Something this machine lacks: a system library, an optional package, weights."""


class Interrupted(DualTalkError):
    """Ctrl-C during work that can be gone on with: the message says how."""


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
