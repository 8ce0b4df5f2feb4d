"""The check of terms: banned words are found in names and prose, and an exception needs a reason."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_terms.py"

LIST = """
files = ["*.py", "*.md"]
[[terms]]
pattern = "(glorp|glorped)"
kind = "identifier"
use = "encode"
[[terms]]
pattern = 'flim\\s+flam'
kind = "prose"
use = "validate"
"""


@pytest.fixture(scope="module")
def checker():
    spec = spec_from_file_location("check_terms", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def findings(checker, tmp_path):
    def find(files: dict[str, str], more: str = "") -> list[str]:
        (tmp_path / "terms.toml").write_text(LIST + more)
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return checker.check(tmp_path, checker.WordList.load(tmp_path / "terms.toml"))

    return find


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.py", "x = 1\nglorp_frames = 2\n", 2),
        ("a.py", "class GlorpedFrames: ...\n", 1),
        ("a.py", "x = 1  # to flim flam\n", 1),
        ("a.py", '"""Title.\n\nIt will flim\nflam.\n"""\n', 3),
        ("a.py", "def test_files_flim_flam(): ...\n", 1),
        ("a.md", "One.\nTo flim\nflam.\n", 2),
    ],
)
def test_a_banned_term_is_reported_with_its_line_and_a_better_word(findings, name, text, line):
    (found,) = findings({name: text})
    assert found.startswith(f"{name}:{line}: ")
    assert "use instead: " in found


def test_other_words_pass(findings):
    assert findings({"a.py": "glorpy = flam = 1  # glorp is prose here\n", "a.md": "glorp, flim, flam\n"}) == []


def test_an_exception_applies_to_its_file_only(findings):
    more = '[[exceptions]]\nfile = "a.py"\nterm = "(glorp|glorped)"\nreason = "a quotation"\n'
    assert findings({"a.py": "glorp = 1\n"}, more) == []
    assert len(findings({"a.py": "glorp = 1\n", "b.py": "glorp = 1\n"}, more)) == 1


def test_an_exception_that_matches_nothing_is_reported(findings):
    more = '[[exceptions]]\nfile = "a.py"\nterm = "(glorp|glorped)"\nreason = "a quotation"\n'
    (found,) = findings({"a.py": "x = 1\n"}, more)
    assert "remove its exception" in found


def test_an_exception_without_a_reason_is_refused(findings):
    with pytest.raises(ValueError, match="no reason"):
        findings({}, '[[exceptions]]\nfile = "a.py"\nterm = "x"\n')


def test_the_list_of_the_project_loads_and_every_pattern_compiles(checker):
    import re

    words = checker.WordList.load(SCRIPT.with_name("terms.toml"))
    assert all(re.compile(term.pattern) for term in words.terms)
