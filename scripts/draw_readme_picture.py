"""Write `docs/dialogue.webp`, the animated picture of the README, from the demo's video.

    make demo && python scripts/draw_readme_picture.py

The excerpt contains a turn change, with a listener on each side of it.
"""

import argparse
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
START_S, LENGTH_S = 16.6, 6.4
# Half the video's rate and a width of 720 pixels keep the file below 2 MB.
EVERY, WIDTH, QUALITY = 2, 720, 75
LARGEST_BYTES = 2_000_000


def excerpt(video: Path, start_s: float, length_s: float) -> tuple[list[Image.Image], float]:
    """Frames of part of a video, scaled to `WIDTH`, and the seconds that each is displayed."""
    reader = imageio_ffmpeg.read_frames(str(video))
    meta = next(reader)
    (width, height), fps = meta["size"], meta["fps"]
    first, count = round(start_s * fps), round(length_s * fps)
    size = (WIDTH, round(WIDTH * height / width / 2) * 2)
    images = []
    for number, frame in enumerate(reader):
        if number >= first + count:
            break
        if number >= first and (number - first) % EVERY == 0:
            image = Image.fromarray(np.frombuffer(frame, np.uint8).reshape(height, width, 3))
            images.append(image.resize(size, Image.Resampling.LANCZOS))
    reader.close()
    return images, EVERY / fps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=ROOT / "demo" / "dialogue.mp4")
    parser.add_argument("--start", type=float, default=START_S, help="seconds")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "dialogue.webp")
    options = parser.parse_args()
    images, frame_s = excerpt(options.video, options.start, LENGTH_S)
    duration_ms = round(1000 * frame_s)
    images[0].save(
        options.out,
        save_all=True,
        append_images=images[1:],
        duration=duration_ms,
        loop=0,
        quality=QUALITY,
        method=6,
    )
    size = options.out.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{options.out} has {size / 1e6:.1f} MB; wanted at most {LARGEST_BYTES / 1e6:.0f}")
    print(f"{options.out}: {len(images)} frames, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
