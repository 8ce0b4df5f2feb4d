"""Bundle a trained duet with the package, in half precision, as the pretrained model of `dualtalk simulate`.

    python scripts/bundle_duet.py runs/duet_stage5/model.safetensors

`make duet` trains the model.
"""

import sys

from dualtalk.models.checkpoint import BUNDLED, load_model, save_model

trained = load_model(sys.argv[1])
save_model(
    BUNDLED, trained.model, space=trained.space, layout=trained.layout, training_info=trained.metadata, half=True
)
print(f"{BUNDLED}: {BUNDLED.stat().st_size / 1e6:.1f} MB, {trained.metadata}")
