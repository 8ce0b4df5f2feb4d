"""Who is who and who speaks: a small plate with a name and a light in each person's lower corner."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from dualtalk.core import Participant
from dualtalk.render.scene import Appearance, Scene

# The light comes and goes within about a fifth of a second.
EASE_FRAMES = 2.0
UNLIT = (120, 124, 128)
# Drawn larger and shrunk, so that the round corners are smooth.
FINER = 4


@dataclass(frozen=True, eq=False)
class Plate:
    """One person's plate, silent and speaking, with its place in the frame.

    Attributes
    ----------
    silent, speaking : (row, column, 4) float32
        Colour times cover, 0 to 255, and cover, 0 to 1.
    top, left : int
    """

    silent: Float32[np.ndarray, "row column 4"]
    speaking: Float32[np.ndarray, "row column 4"]
    top: int
    left: int

    def put_on(self, picture: UInt8[np.ndarray, "height width 3"], level: float) -> None:
        """Draw the plate into `picture`, its light at `level`, 0 to 1."""
        plate = self.silent + level * (self.speaking - self.silent)
        rows, columns = plate.shape[:2]
        behind = picture[self.top : self.top + rows, self.left : self.left + columns]
        behind[:] = plate[..., :3] + behind * (1 - plate[..., 3:]) + 0.5


def plates(scene: Scene) -> tuple[Plate | None, Plate | None]:
    """A's plate in the lower left corner, B's in the lower right; none of who has no name."""
    width, height = scene.size
    margin = height // 24
    made: list[Plate | None] = [None, None]
    for person, appearance in enumerate(scene.appearances):
        if not appearance.label:
            continue
        silent, speaking = (_drawn(appearance, height, light) for light in (UNLIT, appearance.accent))
        rows, columns = silent.shape[:2]
        left = margin if person == 0 else width - margin - columns
        made[person] = Plate(silent, speaking, height - margin - rows, left)
    return made[0], made[1]


def speaking_levels(participant: Participant, frames: int) -> Float[np.ndarray, "frame"]:
    """How bright the light is in each frame: 1 while this person speaks, eased at both ends."""
    return gaussian_filter1d(participant.speaking(frames).astype(np.float64), EASE_FRAMES, mode="nearest")


def _drawn(
    appearance: Appearance, height: int, light: tuple[int, int, int]
) -> Float32[np.ndarray, "row column 4"]:
    tall = max(height // 16, 6) * FINER
    font = ImageFont.load_default(size=0.56 * tall)
    wide = int(1.25 * tall + font.getlength(appearance.label))
    image = Image.new("RGBA", (wide - wide % FINER, tall))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, tall - 1), radius=tall // 2, fill=(24, 26, 30, 150))
    draw.ellipse((0.34 * tall, 0.34 * tall, 0.66 * tall, 0.66 * tall), fill=(*light, 255))
    draw.text((0.86 * tall, tall / 2), appearance.label, font=font, anchor="lm", fill=(245, 245, 245, 255))
    pixels = np.asarray(image.resize((image.width // FINER, tall // FINER), Image.Resampling.BOX), np.float32)
    cover = pixels[..., 3:] / 255
    return np.concatenate([pixels[..., :3] * cover, cover], axis=2)
