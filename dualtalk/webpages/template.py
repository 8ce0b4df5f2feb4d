"""Pages that are whole in one file: a template filled in, data as JSON, pictures as text."""

import base64
import io
import json
from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import Image

JPEG_QUALITY = 82


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template, which has no other pairs of braces, with each {{name}} replaced by that part."""
    return "".join(parts.get(piece, piece) for piece in template.replace("}}", "{{").split("{{"))


def json_text(data: dict) -> str:
    """JSON that can stand in a script element: nothing in it ends the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def markup_text(text: str) -> str:
    """`text` as it can stand between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def plain(value, digits: int = 4):
    """The same in JSON's types: no numpy numbers, decimals rounded, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, digits) if np.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)


def jpeg_uri(image: UInt8[np.ndarray, "height width 3"], largest_px: int) -> str:
    """A picture as a data: address, no side longer than that."""
    picture = Image.fromarray(image)
    picture.thumbnail((largest_px, largest_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
