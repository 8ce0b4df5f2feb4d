"""Self-contained web pages: jinja2 templates with all styles, scripts, data and images in one file.

Every page extends `assets/base/base.html`. Its content-security policy forbids all network access. jinja2 escapes
every value that a template inserts; only files of this package, which templates insert through `asset`, are
trusted. Data are embedded as JSON that cannot end the script element that holds it.
"""

import base64
import io
import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from dualtalk.io.atomic import written_whole

JPEG_QUALITY = 82


def write_page(path: str | os.PathLike, template: str, **values: Any) -> None:
    """Render a template of `dualtalk/webpages/assets` and write it to `path`, which appears only when complete.

    Parameters
    ----------
    path : path
    template : str
        Name below `assets`, such as "viewer/page.html".
    **values
        The template's variables: text, which is escaped, and `data`, a dict of JSON types. A missing variable is
        an error.
    """
    with written_whole(path) as partial:
        _environment().get_template(template).stream(values).dump(str(partial), encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dualtalk.webpages", "assets"), autoescape=True, undefined=StrictUndefined
    )
    environment.globals["asset"] = _asset
    # `tojson` escapes <, >, & and ' as unicode escapes. Keys keep their order, and a NaN is an error.
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "allow_nan": False,
        "ensure_ascii": False,
    }
    return environment


def _asset(name: str) -> Markup:
    """The text of a style sheet or script below `assets`, inserted without escaping."""
    return Markup((files("dualtalk.webpages") / "assets" / name).read_text(encoding="utf-8"))


def json_types(value: object, digits: int = 4) -> Any:
    """`value` in JSON's types: numpy numbers become Python numbers, decimals are rounded, NaN becomes null.

    Mappings and sequences are converted recursively; any other object becomes its `str`.
    """
    if isinstance(value, Mapping):
        return {str(key): json_types(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_types(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, digits) if np.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)


def jpeg_data_uri(image: UInt8[np.ndarray, "height width 3"], max_side_px: int) -> str:
    """A JPEG as a `data:` URI, downscaled so that no side is longer than `max_side_px`."""
    picture = Image.fromarray(image)
    picture.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
