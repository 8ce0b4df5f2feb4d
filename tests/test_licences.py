"""The default install is free for commercial use: the licence of every package that it brings is read."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# MPL-2.0 and LGPL packages are used unchanged and can be replaced, which these licences ask for.
FREE = re.compile(
    r"MIT|BSD|Apache|MPL-2|Mozilla Public License 2|LGPL|Lesser General|ISC|Python Software Foundation|PSF|HPND|"
    r"Zlib|CC0|Unlicense|Redistribution and use in source and binary forms"
)
NOT_FREE = re.compile(
    r"non-?commercial|CC-BY-NC|(?<!Lesser )General Public License|AGPL|(?<!L)GPL-", re.IGNORECASE
)


def required() -> dict[str, Distribution]:
    """Every package of `pip install .` without extras, by its name."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        waiting = [Requirement(one) for one in tomllib.load(file)["project"]["dependencies"]]
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if (name, frozenset(one.extras)) in asked:
            continue
        asked.add((name, frozenset(one.extras)))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for line in found[name].requires or []:
            further = Requirement(line)
            marker = further.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                waiting.append(further)
    return found


def stated_licence(package: Distribution) -> str:
    """What the metadata states, and the texts of the licence where it states nothing."""
    metadata = package.metadata
    classifiers = [one for one in metadata.get_all("Classifier") or [] if one.startswith("License")]
    stated = " ".join([metadata.get("License-Expression") or (metadata.get("License") or "")[:300], *classifiers])
    return stated if FREE.search(stated) else stated + " ".join(licence_files(package))


def licence_files(package: Distribution) -> Iterator[str]:
    for path in package.files or []:
        if re.match(r"(LICEN[CS]E|COPYING)", path.name, re.IGNORECASE) and ".dist-info" in str(path):
            yield Path(path.locate()).read_text(encoding="utf-8", errors="replace")[:1500]


def test_every_package_of_the_default_install_is_free_for_commercial_use():
    packages = required()
    assert {"torch", "numpy", "pyannote-audio", "transformers"} <= set(packages)
    assert "smplx" not in packages
    licences = {name: stated_licence(package) for name, package in packages.items()}
    unknown = [name for name, text in licences.items() if not FREE.search(text) or NOT_FREE.search(text)]
    assert unknown == []


def test_the_readme_names_what_is_not_free():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").split("## Licences")[1]
    for word in ("smplx", "FLAME", "GPL", "imageio-ffmpeg", "commercial"):
        assert word in readme
