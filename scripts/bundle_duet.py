"""Bundle a trained duet with the package, in half precision, as the pretrained model of `dualtalk simulate`.

    python scripts/bundle_duet.py runs/duet_stage5/model.safetensors

`make duet` trains the model.
"""

import argparse
from pathlib import Path

from dualtalk.models.checkpoint import BUNDLED, load_model, save_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model.safetensors of dualtalk train")
    trained = load_model(parser.parse_args().model)
    save_model(
        BUNDLED,
        trained.model,
        space=trained.space,
        layout=trained.layout,
        training_info=trained.metadata,
        half=True,
    )
    print(f"{BUNDLED}: {BUNDLED.stat().st_size / 1e6:.1f} MB, {trained.metadata}")


if __name__ == "__main__":
    main()
