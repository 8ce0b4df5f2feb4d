"""Build the two bundled networks of `dualtalk/audio` from the wheels that publish them.

    python scripts/bundle_speech_weights.py [--wheels DIR]

Writes `voice_activity.safetensors` (silero-vad, MIT) and `speaker_embedding.safetensors` (resemblyzer,
Apache-2.0), in half precision, each with its licence text beside it. The same wheels give the same bytes.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import save

AUDIO = Path(__file__).parents[1] / "dualtalk" / "audio"
VOICE_ACTIVITY_WHEEL = "silero-vad==6.2.3"
SPEAKER_EMBEDDING_WHEEL = "resemblyzer==0.1.4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="folder that holds the two wheels; default: pip fetches them")
    wheels = parser.parse_args().wheels
    with tempfile.TemporaryDirectory() as scratch:
        if wheels is None:
            wheels = Path(scratch)
            packages = [VOICE_ACTIVITY_WHEEL, SPEAKER_EMBEDDING_WHEEL]
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--no-deps", "-d", wheels, *packages], check=True
            )
        bundle_voice_activity(open_wheel(wheels, VOICE_ACTIVITY_WHEEL))
        bundle_speaker_embedding(open_wheel(wheels, SPEAKER_EMBEDDING_WHEEL))


def open_wheel(folder: Path, requirement: str) -> zipfile.ZipFile:
    name, version = requirement.split("==")
    stem = f"{name}-{version}".replace("-", "_").lower()
    found = [path for path in folder.glob("*.whl") if path.name.replace("-", "_").lower().startswith(stem)]
    if len(found) != 1:
        sys.exit(f"{folder} has {len(found)} wheels of {requirement}; wanted one")
    return zipfile.ZipFile(found[0])


def bundle_voice_activity(wheel: zipfile.ZipFile) -> None:
    """The 16 kHz half of the TorchScript model, under the names that `VoiceActivityNet` gives its layers.

    The safetensors file of the wheel has the weights of an older training and is not used.
    """
    published = torch.jit.load(BytesIO(wheel.read("silero_vad/data/silero_vad.jit"))).state_dict()
    weights = {"spectrum.weight": published["_model.stft.forward_basis_buffer"]}
    for part in ("weight", "bias"):
        weights[f"head.{part}"] = published[f"_model.decoder.decoder.2.{part}"]
        for layer in range(4):
            weights[f"encoder.{2 * layer}.{part}"] = published[f"_model.encoder.{layer}.reparam_conv.{part}"]
        for side in ("ih", "hh"):
            weights[f"memory.{part}_{side}_l0"] = published[f"_model.decoder.rnn.{part}_{side}"]
    write(weights, "voice_activity", wheel, "silero-vad 6.2.3, https://github.com/snakers4/silero-vad, MIT")


def bundle_speaker_embedding(wheel: zipfile.ZipFile) -> None:
    """The encoder without the optimizer's state and without the two parameters of the training loss."""
    checkpoint = torch.load(
        BytesIO(wheel.read("resemblyzer/pretrained.pt")), map_location="cpu", weights_only=True
    )
    weights = {
        name: values for name, values in checkpoint["model_state"].items() if name.startswith(("lstm.", "linear."))
    }
    source = "resemblyzer 0.1.4, https://github.com/resemble-ai/Resemblyzer, Apache-2.0"
    write(weights, "speaker_embedding", wheel, source)


def write(weights: dict[str, torch.Tensor], name: str, wheel: zipfile.ZipFile, source: str) -> None:
    halved = {key: weights[key].half().contiguous() for key in sorted(weights)}
    (AUDIO / f"{name}.safetensors").write_bytes(save(halved, metadata={"source": source}))
    licence = next(path for path in wheel.namelist() if path.rsplit("/", 1)[-1] == "LICENSE")
    (AUDIO / f"LICENSE-{name}.txt").write_bytes(wheel.read(licence).replace(b"\r\n", b"\n"))


if __name__ == "__main__":
    main()
