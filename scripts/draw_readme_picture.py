"""Draw `docs/dialogue.jpg`, four moments of the demo.

make demo && python scripts/draw_readme_picture.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

from dualtalk.audio.turns import turn_table
from dualtalk.core import Conversation
from dualtalk.head import load_head
from dualtalk.render import render_stills
from dualtalk.webpages.conversation_data import moments

ROOT = Path(__file__).parents[1]
COLUMNS, CELL = 2, (640, 320)
# Of the demo's moments: each speaks in two of them.
SHOWN = (3, 5, 6, 8)


def main() -> None:
    conversation, head = Conversation.load(ROOT / "demo"), load_head("open")
    turns = turn_table(*(person.speech for person in conversation.participants), conversation.duration_s)
    frames = [moment.frame for moment in moments(conversation, head, turns)]
    images = render_stills(conversation, head, [frames[index] for index in SHOWN])
    cells = [np.asarray(Image.fromarray(image).resize(CELL, Image.Resampling.LANCZOS)) for image in images]
    rows = [np.concatenate(cells[start : start + COLUMNS], axis=1) for start in range(0, len(cells), COLUMNS)]
    picture = ROOT / "docs" / "dialogue.jpg"
    picture.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(picture, quality=88, optimize=True)
    print(f"{picture}, {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
