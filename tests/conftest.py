"""Real recordings, found where they are installed; a test that needs one skips where it is absent."""

from importlib.util import find_spec
from pathlib import Path

import pytest

CLIP = Path(__file__).parents[2] / "shared" / "data" / "dualtalk_clip"


@pytest.fixture(scope="session")
def two_person_wave() -> Path:
    """30 s of two people on one channel, with overlaps: the sample in pyannote.audio's wheel (MIT)."""
    return Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"


@pytest.fixture(scope="session")
def one_wave_each() -> list[Path]:
    """30 s of a real conversation, one file a person."""
    waves = sorted(CLIP.glob("*_speaker[12].wav"))
    if len(waves) != 2:
        pytest.skip(f"no conversation at {CLIP}")
    return waves
