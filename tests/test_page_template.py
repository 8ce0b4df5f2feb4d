"""The page template: hostile text stays text, data are valid JSON, and a failed write leaves the previous page."""

import html
import json
import re
from importlib.resources import files

import numpy as np
import pytest
from jinja2 import UndefinedError

from dualtalk.webpages.template import json_types, write_page

PAGE = "comparison_report/page.html"
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "\u2028\u2029",
    "{{ 7 * 7 }}",
    "' onload='x",
    '"&amp;',
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(tmp_path, text):
    path = tmp_path / "page.html"
    write_page(path, PAGE, title=text, data={text: [text]})
    page = path.read_text(encoding="utf-8")
    assert html.unescape(re.search(r"<title>(.*?)</title>", page, re.S)[1]) == text
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    assert json.loads(embedded) == {text: [text]}
    assert page.count("</script>") == 2
    assert "<" not in embedded


def test_bundled_scripts_cannot_end_their_element():
    assets = files("dualtalk.webpages") / "assets"
    scripts = [file for folder in assets.iterdir() for file in folder.iterdir() if file.name.endswith(".js")]
    assert len(scripts) > 5
    assert not [file.name for file in scripts if re.search(r"</script|<!--", file.read_text(), re.I)]


def test_missing_variable_or_nan_leaves_the_previous_page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("previous")
    with pytest.raises(UndefinedError):
        write_page(path, PAGE, data={})
    with pytest.raises(ValueError, match="JSON"):
        write_page(path, PAGE, title="not a number", data={"value": float("nan")})
    assert path.read_text() == "previous"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_numbers_become_json_types():
    value = {"a": np.float32(0.123456), "b": (np.int64(3), np.nan, np.inf), "c": [True, None, "text"]}
    assert json_types(value) == {"a": 0.1235, "b": [3, None, None], "c": [True, None, "text"]}
