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
