"""Natural identities: random mixtures of MakeHuman's gender, age, ancestry and face targets.

All share the mean head's place: each is moved so that its skull joint stays where the mean's is.
"""

from pathlib import Path

import numpy as np
from makehuman import read_target

ANCESTRIES = ("african", "asian", "caucasian")
FACE_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "neck")
# Opposite ends of one face target, by the words of its file name.
OPPOSITES = (("decr", "incr"), ("in", "out"), ("down", "up"), ("backward", "forward"), ("concave", "convex"))
FACE_TARGET_SD = 0.22
FACE_TARGET_LARGEST = 0.6
OLDEST_SHARE = 0.45


def read_macros(data: Path, vertices: int) -> dict[tuple[str, str, str], np.ndarray]:
    """Displacements by (ancestry, gender, age)."""
    folder = data / "mpfb2/targets/macrodetails"
    macros = {}
    for gender in ("female", "male"):
        for age in ("young", "old"):
            average = f"universal-{gender}-{age}-averagemuscle-averageweight.target.gz"
            build = read_target(folder / average, vertices)
            for ancestry in ANCESTRIES:
                face = read_target(folder / f"{ancestry}-{gender}-{age}.target.gz", vertices)
                macros[ancestry, gender, age] = build + face
    return macros


def read_face_targets(data: Path, vertices: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(towards, away) displacements of each face quality; left and right together."""
    ends: dict[str, dict[int, np.ndarray]] = {}
    for folder in FACE_FOLDERS:
        for path in sorted((data / "mpfb2/targets" / folder).glob("*.target.gz")):
            words = path.name.removesuffix(".target.gz").split("-")
            side = next((k for pair in OPPOSITES for k in (0, 1) if words[-1] == pair[k]), None)
            if side is None:
                continue
            quality = "-".join(word for word in words[:-1] if word not in ("l", "r"))
            quality = f"{folder}/{quality}"
            pair = ends.setdefault(quality, {})
            pair[side] = pair.get(side, 0) + read_target(path, vertices)
    return [(pair[1], pair[0]) for pair in ends.values() if len(pair) == 2]


def sample_identities(
    macros: dict, face_targets: list, count: int, rng: np.random.Generator, columns
) -> np.ndarray:
    """(count, n) displacements, each passed through `columns`, which keeps what the head needs."""
    rows = []
    kept_macros = {key: columns(value) for key, value in macros.items()}
    kept_faces = [(columns(toward), columns(away)) for toward, away in face_targets]
    for _ in range(count):
        male, old = rng.uniform(), OLDEST_SHARE * rng.uniform() ** 2
        ancestry = rng.dirichlet(np.full(len(ANCESTRIES), 0.6))
        shape = sum(
            share * g * a * kept_macros[name, gender, age]
            for name, share in zip(ANCESTRIES, ancestry, strict=True)
            for gender, g in (("male", male), ("female", 1 - male))
            for age, a in (("old", old), ("young", 1 - old))
        )
        for toward, away in kept_faces:
            drawn = FACE_TARGET_SD * rng.standard_normal()
            weight = float(np.clip(drawn, -FACE_TARGET_LARGEST, FACE_TARGET_LARGEST))
            shape = shape + (weight * toward if weight > 0 else -weight * away)
        rows.append(shape)
    return np.stack(rows)


def principal_components(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and the first `count` components, each the displacement of one standard deviation."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(values)[::-1][:count]
    components = (vectors[:, order].T @ centred) / np.sqrt(len(rows))
    # A component's sign is arbitrary: make its largest entry positive, so that the file does not depend on it.
    signs = np.sign(components[np.arange(len(components)), np.abs(components).argmax(axis=1)])
    return mean, components * signs[:, None]
