"""Extension points: another installed package extends a registry, and a broken one does not affect the rest."""

import logging

import pytest

from dualtalk.errors import InputError
from dualtalk.plugins import Registry

GROUP = "dualtalk.things"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package of two modules into a folder on the path: one works, one raises as it is imported."""
    (tmp_path / "thing_plugin.py").write_text("THING = 'from outside'\n")
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no licence file')\n")
    information = tmp_path / "thing_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: thing-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        f"[{GROUP}]\noutside = thing_plugin:THING\nbroken = broken_plugin:THING\nown = thing_plugin:THING\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry(GROUP, "thing", {"own": "from inside"})


def test_a_plugin_is_found_by_name_after_the_packages_own(installed):
    assert installed.names() == ["own", "broken", "outside"]
    assert installed["outside"] == "from outside"
    assert installed["own"] == "from inside"


def test_a_plugin_that_fails_to_import_is_named_and_the_rest_works(installed, caplog):
    with caplog.at_level(logging.WARNING):
        assert dict(installed.items()) == {"own": "from inside", "outside": "from outside"}
    assert "broken_plugin:THING) cannot be imported: RuntimeError: no licence file" in caplog.text
    with pytest.raises(InputError, match="no licence file"):
        installed["broken"]


def test_an_unknown_name_lists_the_available_names(installed):
    with pytest.raises(InputError, match="unknown thing 'outsider'; available: own, broken, outside"):
        installed["outsider"]
