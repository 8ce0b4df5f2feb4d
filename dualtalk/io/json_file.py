"""Reading JSON files; a file that cannot be used is an `InputError` of one line."""

import json
import os
from pathlib import Path
from typing import Any

from dualtalk.errors import InputError


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file in UTF-8.

    Raises
    ------
    InputError
        No such file, not UTF-8, or not JSON.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error})") from error
    return parse_json(text, path)


def read_json_object(path: str | os.PathLike) -> dict[str, Any]:
    """The same for a file that must hold an object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; is it of another program?")
    return content


def parse_json(text: str, source: object) -> Any:
    """Parse JSON; `source` is named in errors.

    Raises
    ------
    InputError
        Not JSON, or nested deeper than Python recurses.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{source} is not usable JSON (nested too deeply)") from error
    except ValueError as error:
        raise InputError(f"{source} is not JSON ({error})") from error
