"""What goes into a page of ours, as text: a filled-in template, data as JSON that no markup can come out of."""

import json
from importlib.resources.abc import Traversable

import numpy as np

from dualtalk.conversation import Participant


def filled(template: Traversable, parts: dict[str, str]) -> str:
    """The text of `template` with each `{{name}}` replaced by that part."""
    pieces = template.read_text().replace("}}", "{{").split("{{")
    return "".join(parts.get(piece, piece) for piece in pieces)


def json_text(data: dict) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def markup_text(text: str) -> str:
    """`text` as it can stand between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def spans(person: Participant) -> list[list[float]]:
    """Start and end of each stretch of speech, seconds."""
    return [[round(span.start, 3), round(span.end, 3)] for span in person.speech]


def plain(value):
    """The same in JSON's types: no numpy numbers, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)
