"""Name plates: a label and a speaking indicator in each person's lower corner of the frame."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from dualtalk.core import Participant
from dualtalk.render.scene import Appearance, Scene

# Standard deviation of the Gaussian that smooths the indicator: it fades within about 0.2 s.
FADE_FRAMES = 2.0
IDLE_COLOUR = (120, 124, 128)
# Plates are drawn at this multiple of their size and downscaled, which smooths their corners.
SUPERSAMPLING = 4


@dataclass(frozen=True, eq=False)
class NamePlate:
    """One person's name plate, silent and speaking, and its position in the frame.

    Attributes
    ----------
    silent, speaking : (row, column, 4) float32
        Premultiplied RGB, 0 to 255, and alpha, 0 to 1.
    top, left : int
        Pixels.
    """

    silent: Float32[np.ndarray, "row column 4"]
    speaking: Float32[np.ndarray, "row column 4"]
    top: int
    left: int

    def draw_on(self, image: UInt8[np.ndarray, "height width 3"], level: float) -> None:
        """Blend the plate into `image` in place, with the indicator at `level`, 0 to 1."""
        plate = self.silent + level * (self.speaking - self.silent)
        rows, columns = plate.shape[:2]
        behind = image[self.top : self.top + rows, self.left : self.left + columns]
        behind[:] = plate[..., :3] + behind * (1 - plate[..., 3:]) + 0.5


def name_plates(scene: Scene) -> tuple[NamePlate | None, NamePlate | None]:
    """A's plate for the lower left corner and B's for the lower right; None for an empty label."""
    width, height = scene.size
    margin = height // 24
    plates: list[NamePlate | None] = [None, None]
    for person, appearance in enumerate(scene.appearances):
        if not appearance.label:
            continue
        silent, speaking = (_drawn_plate(appearance, height, light) for light in (IDLE_COLOUR, appearance.accent))
        rows, columns = silent.shape[:2]
        left = margin if person == 0 else width - margin - columns
        plates[person] = NamePlate(silent, speaking, height - margin - rows, left)
    return plates[0], plates[1]


def speaking_levels(participant: Participant, frames: int) -> Float[np.ndarray, "frame"]:
    """Level of the speaking indicator in each frame: 1 during speech, with smooth onsets and offsets."""
    return gaussian_filter1d(participant.speaking(frames).astype(np.float64), FADE_FRAMES, mode="nearest")


def _drawn_plate(
    appearance: Appearance, height: int, light: tuple[int, int, int]
) -> Float32[np.ndarray, "row column 4"]:
    tall = max(height // 16, 6) * SUPERSAMPLING
    font = ImageFont.load_default(size=0.56 * tall)
    wide = int(1.25 * tall + font.getlength(appearance.label))
    image = Image.new("RGBA", (wide - wide % SUPERSAMPLING, tall))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, tall - 1), radius=tall // 2, fill=(24, 26, 30, 150))
    draw.ellipse((0.34 * tall, 0.34 * tall, 0.66 * tall, 0.66 * tall), fill=(*light, 255))
    draw.text((0.86 * tall, tall / 2), appearance.label, font=font, anchor="lm", fill=(245, 245, 245, 255))
    pixels = np.asarray(
        image.resize((image.width // SUPERSAMPLING, tall // SUPERSAMPLING), Image.Resampling.BOX), np.float32
    )
    alpha = pixels[..., 3:] / 255
    return np.concatenate([pixels[..., :3] * alpha, alpha], axis=2)
