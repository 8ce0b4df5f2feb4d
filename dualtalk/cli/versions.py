"""Versions of software, for the record of a run."""

import platform
from importlib.metadata import PackageNotFoundError, version

import dualtalk


def recorded_versions(*packages: str) -> dict[str, str]:
    """Versions of dualtalk, Python and those of `packages` that are installed."""
    found = {"dualtalk": dualtalk.__version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
