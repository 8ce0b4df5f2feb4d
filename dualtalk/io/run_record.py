"""Records of runs: what was run, on which input, with which versions."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import dualtalk


def recorded_versions(*packages: str) -> dict[str, str]:
    """Versions of dualtalk, of Python, and of those `packages` that are installed."""
    versions = {"dualtalk": dualtalk.__version__, "python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def file_checksums(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its path as given."""
    checksums = {}
    for path in paths:
        with path.open("rb") as file:
            checksums[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return checksums
