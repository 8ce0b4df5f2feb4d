"""The command line: help, exit status, result files, and no heavy imports before they are needed."""

import json
import subprocess
import sys

import pytest
import soundfile
from typer.testing import CliRunner

from dualtalk import __version__
from dualtalk.cli import app
from dualtalk.errors import InputError
from dualtalk.io.result_folder import result_folder
from dualtalk.simulation.options import RESULTS


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_version():
    assert run("--version").stdout == f"dualtalk {__version__}\n"


@pytest.mark.parametrize(
    "verb",
    [
        "simulate",
        "render",
        "export",
        "prepare",
        "synthesize",
        "validate",
        "shard",
        "train",
        "view",
        "convert",
        "evaluate",
        "doctor",
    ],
)
def test_every_verb_has_a_help_page(verb):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert verb in run("--help").stdout


HEAVY = ("torch", "pandas", "pyannote", "moderngl", "lightning", "transformers")


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--help"],
        ["prepare", "--help"],
        ["export", "--help"],
        ["simulate", "absent.wav", "--out", "out"],
        ["render", "a.npz", "b.npz", "--out", "video.avi"],
        ["view", "absent"],
        ["export", "absent", "--format", "glb"],
    ],
)
def test_help_and_bad_paths_import_no_heavy_package(arguments, tmp_path):
    script = (
        "import sys; from typer.testing import CliRunner; from dualtalk.cli import app;"
        "result = CliRunner().invoke(app, sys.argv[1:]);"
        f"print(result.exit_code, [name for name in {HEAVY} if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, *arguments]
    status = 0 if "--help" in arguments else 2
    assert subprocess.check_output(command, text=True, cwd=tmp_path).strip() == f"{status} []"


@pytest.mark.parametrize("arguments", [[], ["--seed", "x"], ["a.wav"], ["a.wav", "b.wav", "c.wav", "--out", "o"]])
def test_wrong_usage_exits_with_2(arguments):
    assert run("simulate", *arguments).exit_code == 2


def test_a_result_folder_appears_only_when_complete(tmp_path):
    with result_folder(tmp_path / "out", overwrite=False, record="run.json", results=RESULTS) as folder:
        (folder / "run.json").write_text("{}")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "run.json"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failed_run_keeps_the_earlier_results(tmp_path, failure):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("former")

    def fail():
        with result_folder(tmp_path / "out", overwrite=True, record="run.json", results=RESULTS) as folder:
            (folder / "run.json").write_text("new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "run.json").read_text() == "former"


def test_overwriting_replaces_results_and_no_other_files(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("former")
    with result_folder(out, overwrite=True, record="run.json", results=RESULTS) as folder:
        (folder / "run.json").write_text("new")
    assert [path.name for path in out.iterdir()] == ["run.json"]
    (out / "thesis.tex").write_text("years of work")
    again = result_folder(out, overwrite=True, record="run.json", results=RESULTS)
    with pytest.raises(InputError, match=r"thesis\.tex"), again:
        pass
    assert (out / "thesis.tex").read_text() == "years of work"


@pytest.fixture(scope="module")
def simulated(two_person_wave, tmp_path_factory):
    """The output folder and the result of `simulate` on six seconds of real speech of two people."""
    folder = tmp_path_factory.mktemp("simulated")
    samples, rate_hz = soundfile.read(two_person_wave, start=16_000 * 7, stop=16_000 * 13)
    soundfile.write(folder / "talk.wav", samples, rate_hz)
    return folder / "out", run("simulate", folder / "talk.wav", "--out", folder / "out", "--seed", 3)


def test_simulate_writes_every_result(simulated):
    out, result = simulated
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert sorted(path.name for path in out.iterdir()) == sorted(RESULTS)
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "talk.wav"]
    record = json.loads((out / "run.json").read_text())
    assert record["seed"] == 3
    assert set(record) == {"seed", "notes", "options", "inputs_sha256", "versions", "timings_s"}


def test_render_reads_the_files_of_simulate(simulated, tmp_path):
    out, _ = simulated
    video = tmp_path / "again.mp4"
    arguments = ["render", out / "a.npz", out / "b.npz", "--audio", out / "a.wav", out / "b.wav", "--out", video]
    assert run(*arguments).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["again.mp4"]
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
