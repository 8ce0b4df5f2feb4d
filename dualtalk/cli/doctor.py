"""The verb `doctor`: what works on this machine."""

import typer


def doctor() -> None:
    """Check what works on this machine, and say how to fix the rest.

    Exits with 1 if something is missing that simulate needs.
    """
    from dualtalk.doctor import examine, show

    raise typer.Exit(0 if show(examine()) else 1)
