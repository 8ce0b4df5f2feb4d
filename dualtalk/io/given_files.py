"""Checks of the paths and names that a user gives, before anything heavy is imported for them.

They look at the existence of a file and at its first bytes. The readers, which take seconds to import, check the
rest. This module imports the standard library only.
"""

import os
import re
import zipfile
from pathlib import Path

from dualtalk.errors import InputError, SetupError
from dualtalk.io.remote import is_url

OPEN_HEAD = "open"
DEFAULT_MODEL, RULES_MODEL = "default", "rules"
DEFAULT_DIARIZER = "default"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
STORE_METADATA = "store.json"


def check_head(name_or_path: str | os.PathLike) -> None:
    """Raise `InputError` unless this is "open" or the path of a file."""
    if str(name_or_path) != OPEN_HEAD and not Path(name_or_path).is_file():
        raise InputError(
            f"no FLAME file at {name_or_path}; it is downloaded by hand, after accepting FLAME's licence"
        )


def check_model(name_or_path: str | os.PathLike) -> None:
    """Raise `InputError` unless this is the name of a model or the path of a file."""
    if str(name_or_path) not in (DEFAULT_MODEL, RULES_MODEL) and not Path(name_or_path).is_file():
        raise InputError(
            f"no model called {str(name_or_path)!r}; wanted {DEFAULT_MODEL}, {RULES_MODEL}, or the path of a "
            "model.safetensors"
        )


def check_diarizer(name_or_path: str | os.PathLike) -> None:
    """Raise `SetupError` unless this is "default", a path, or may be a name on the hub."""
    name = str(name_or_path)
    if name != DEFAULT_DIARIZER and not Path(name).exists() and not HUB_NAME.fullmatch(name):
        raise SetupError(f"no diarizer at {name}; wanted default, the path of a config.yaml, or a hub name")


def check_motion_file(path: str | os.PathLike) -> None:
    """Raise `InputError` unless this is a file that begins as an npz does."""
    if not Path(path).is_file():
        raise InputError(f"no motion file at {path}")
    if Path(path).suffix.lower() == ".npz" and not zipfile.is_zipfile(path):
        raise InputError(f"{path} is not a readable npz of plain arrays: it is no zip archive")


def check_folder(path: str | os.PathLike, wanted: str) -> None:
    """Raise `InputError` unless this is a folder; `wanted` describes it."""
    if not Path(path).is_dir():
        found = f"{path} is a file" if Path(path).exists() else f"no folder at {path}"
        raise InputError(f"{found}; wanted {wanted}")


def check_store(root: str | os.PathLike) -> None:
    """Raise `InputError` unless this is a folder that `prepare` or `synthesize` began, or a URL."""
    if is_url(root):
        return
    if not Path(root).is_dir():
        raise InputError(f"no store at {root}; dualtalk prepare or dualtalk synthesize makes one")
    if not (Path(root) / STORE_METADATA).is_file():
        raise InputError(f"{root} is not a store (it has no {STORE_METADATA}); dualtalk prepare makes one of it")


def check_new_folder(path: str | os.PathLike) -> None:
    """Raise `InputError` unless a folder is at `path` or can be made there, or it is a URL."""
    if is_url(path):
        return
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; wanted a folder for the results")
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        raise InputError(f"cannot write {path}: {existing} is read-only")
