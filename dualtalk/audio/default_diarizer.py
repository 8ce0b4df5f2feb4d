"""Speaker diarization of two people with bundled weights, offline.

1. Voice activity detection finds speech.
2. A d-vector (speaker embedding) is computed for the half second around every tenth of a second of speech.
3. The d-vectors are clustered in two. Each cluster becomes a Gaussian with a shared covariance, and the Viterbi
   path with a cost per speaker change gives the turns.
4. The d-vectors of longer windows decide whether there are two speakers at all, and whether a third is likely.

Half a second is short for a d-vector, but turns are short too: on real conversations longer windows blur more than
they gain. The output has no overlap: where both people speak, the louder one is chosen.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from pyannote.core import Annotation, Segment, Timeline
from scipy.cluster.vq import kmeans2

from dualtalk.audio.diarization import THIRD_VOICE
from dualtalk.audio.speaker_embedding import HOP_SAMPLES, WINDOW_SAMPLES, load_speaker_embedding, mel_spectrogram
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.io.audio_map import release
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

STEP_S = 0.1
TURN_WINDOW_S = 0.5
# The window that the network was trained on. It decides more reliably how many speakers there are. It takes
# longer, and means of it are used only, so that every fourth point has one.
VOICE_WINDOW_S = 1.6
VOICE_STEP_POINTS = 4
# Cosine similarity of the two clusters' mean vectors over the longer windows. Two people: 0.64 to 0.90. One person
# split in two: 0.92 to 0.98 (0.89 in one of 12). Measured on flite voices and two real conversations.
ONE_VOICE_COSINE = 0.91
# A speaker with less speech than this in the whole recording is merged into the other. Single sentences, which are
# too short for a reliable cosine, are then split half as often.
SHORTEST_VOICE_S = 1.0
# Tuned on two real conversations and six with flite voices: experiments/diarization.
CHANGE_COST = 6.0
COMPONENTS = 8
SHRINKAGE = 0.1
ROUNDS = 3
KMEANS_STARTS, KMEANS_ITERATIONS = 10, 30
WINDOWS_AT_ONCE = 256
# Longest span of a group of windows, for speech with long silences in it.
LONGEST_GROUP_POINTS = 4 * WINDOWS_AT_ONCE
# A third voice speaks for at least 3 s and a twentieth of the speech, and resembles no other voice more than this.
# Three flite voices: 0.62 to 0.81; two people, music included: 0.89 to 0.98. experiments/diarization.
SHORTEST_THIRD_POINTS = round(3.0 / (STEP_S * VOICE_STEP_POINTS))
LEAST_THIRD_SHARE = 0.05
THIRD_VOICE_COSINE = 0.85
# Quieter training recordings were amplified to this level.
TRAINING_LEVEL_DB = -30.0


def diarize_two_speakers(audio: Float32[np.ndarray, "sample"]) -> Annotation:
    """Annotate 16 kHz audio with the labels 0 and 1, only 0 for one speaker, and "third voice" where one is
    likely."""
    speech = detect_speech(audio)
    if not speech:
        return Annotation()
    gain = _gain_to_training_level(audio, speech)
    points = _points_in(speech, len(audio) / AUDIO_RATE_HZ)
    fine = _embed(audio, points, TURN_WINDOW_S, gain)
    coarse_points = points[::VOICE_STEP_POINTS]
    coarse = _embed(audio, coarse_points, VOICE_WINDOW_S, gain)
    voices = cluster_two_speakers(fine, coarse, points)
    annotation = _annotation(points, voices, speech)
    third = find_third_voice(coarse, voices[::VOICE_STEP_POINTS], coarse_points)
    for number, point in enumerate(coarse_points[third].tolist()):
        half_s = STEP_S * VOICE_STEP_POINTS / 2
        span = Segment(point * STEP_S - half_s, point * STEP_S + half_s)
        for part in speech.crop(span):
            annotation[part, f"third{number}"] = THIRD_VOICE
    return annotation


def cluster_two_speakers(
    fine: Float[np.ndarray, "point coef"],
    coarse: Float[np.ndarray, "fourth coef"],
    points: Int[np.ndarray, "point"],
) -> Int[np.ndarray, "point"]:
    """Assign each point to speaker 0 or 1.

    Parameters
    ----------
    fine : (point, coef)
        d-vectors of half a second, which are clustered.
    coarse : (fourth, coef)
        d-vectors of 1.6 s at every fourth point, which decide whether there is more than one speaker.
    points : (point,)
        Times, in tenths of a second; gaps are silence.

    Returns
    -------
    (point,) int
        All 0 if there is one speaker.
    """
    one_voice = np.zeros(len(points), int)
    if len(points) <= COMPONENTS:
        return one_voice
    centred = fine - fine.mean(axis=0)
    reduced = centred @ np.linalg.eigh(centred.T @ centred)[1][:, : -COMPONENTS - 1 : -1]
    voices = _two_means(fine)
    after_silence = np.diff(points) > 1
    for _ in range(ROUNDS):
        if len(np.unique(voices)) < 2:
            return one_voice
        voices = viterbi_path(_log_likelihood(reduced, voices), after_silence)
    if min(voices.sum(), len(voices) - voices.sum()) * STEP_S < SHORTEST_VOICE_S:
        return one_voice
    coarse_voices = voices[::VOICE_STEP_POINTS]
    if len(np.unique(coarse_voices)) < 2:
        return one_voice
    return voices if _cosine(*_means(coarse, coarse_voices)) < ONE_VOICE_COSINE else one_voice


def _two_means(vectors: Float[np.ndarray, "point coef"]) -> Int[np.ndarray, "point"]:
    """k-means with several initializations; a single one often ends in a worse optimum."""
    rng = np.random.default_rng(0)
    best, best_error = np.zeros(len(vectors), int), np.inf
    for _ in range(KMEANS_STARTS):
        centres, voices = kmeans2(vectors, 2, minit="++", rng=rng, iter=KMEANS_ITERATIONS)
        error = float(np.square(vectors - centres[voices]).sum())
        if error < best_error:
            best, best_error = voices.astype(int), error
    return best


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def find_third_voice(
    coarse: Float[np.ndarray, "point coef"], voices: Int[np.ndarray, "point"], points: Int[np.ndarray, "point"]
) -> Bool[np.ndarray, "point"]:
    """Mark points that are likely neither speaker's.

    Either speaker's points are clustered in two once more. The smaller part is a third voice if it is long enough
    and resembles neither the larger part nor the other speaker.

    Parameters
    ----------
    coarse : (point, coef)
        d-vectors of 1.6 s.
    voices : (point,)
        Speaker of each point.
    points : (point,)
        Times, in tenths of a second.
    """
    third = np.zeros(len(points), bool)
    for voice in np.unique(voices):
        own = np.flatnonzero(voices == voice)
        if len(own) < 2 * SHORTEST_THIRD_POINTS:
            continue
        parts = _two_means(coarse[own])
        smaller = int(parts.sum() * 2 < len(parts))
        inside, outside = own[parts == smaller], own[parts != smaller]
        if len(inside) < max(SHORTEST_THIRD_POINTS, LEAST_THIRD_SHARE * len(points)):
            continue
        others = [outside, np.flatnonzero(voices != voice)]
        mean = coarse[inside].mean(axis=0)
        nearest = max(_cosine(mean, coarse[rows].mean(axis=0)) for rows in others if len(rows))
        third[inside] = nearest < THIRD_VOICE_COSINE
    return third


def viterbi_path(
    scores: Float[np.ndarray, "point 2"], after_silence: Bool[np.ndarray, "_"]
) -> Int[np.ndarray, "point"]:
    """Viterbi path through two states for log-likelihood `scores`; a change costs half as much across a
    silence."""
    best, came_from = scores[0], np.zeros(scores.shape, int)
    for point in range(1, len(scores)):
        cost = CHANGE_COST / 2 if after_silence[point - 1] else CHANGE_COST
        changed = best[::-1] - cost
        came_from[point] = np.where(best >= changed, [0, 1], [1, 0])
        best = np.maximum(best, changed) + scores[point]
    path = [int(best.argmax())]
    for point in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[point, path[-1]]))
    return np.array(path[::-1])


def _log_likelihood(vectors: np.ndarray, voices: np.ndarray) -> Float[np.ndarray, "point 2"]:
    means = _means(vectors, voices)
    spread = np.cov((vectors - means[voices]).T)
    floor = SHRINKAGE * np.trace(np.cov(vectors.T)) / vectors.shape[1]
    precision = np.linalg.inv(spread + floor * np.eye(vectors.shape[1]))
    away = vectors[:, None] - means[None]
    return -0.5 * np.einsum("pvc,cd,pvd->pv", away, precision, away)


def _means(vectors: np.ndarray, voices: np.ndarray) -> Float[np.ndarray, "2 coef"]:
    return np.stack([vectors[voices == voice].mean(axis=0) for voice in (0, 1)])


def _points_in(speech: Timeline, duration_s: float) -> Int[np.ndarray, "point"]:
    """Tenths of a second within speech; at least one point, even for a very short utterance."""
    points = [np.arange(np.ceil(span.start / STEP_S), np.floor(span.end / STEP_S) + 1) for span in speech]
    inside = np.unique(np.concatenate(points)).astype(int)
    return inside if len(inside) else np.array([int(speech[0].middle / STEP_S)])


def _gain_to_training_level(audio: Float32[np.ndarray, "sample"], speech: Timeline) -> float:
    """Factor that brings speech which is quieter than the training data to its level."""
    squares, samples = 0.0, 0
    for span in speech:
        part = audio[sample_at(span.start) : sample_at(span.end)].astype(np.float64)
        squares, samples = squares + float(part @ part), samples + len(part)
        release(audio)
    level_db = 10 * np.log10(squares / max(samples, 1) + 1e-12)
    return 10 ** (max(TRAINING_LEVEL_DB - level_db, 0) / 20)


def _embed(audio: np.ndarray, points: np.ndarray, window_s: float, gain: float) -> Float[np.ndarray, "point coef"]:
    """One d-vector for the window centred on each point."""
    network = load_speaker_embedding()
    columns = round(window_s * AUDIO_RATE_HZ) // HOP_SAMPLES
    vectors = []
    with torch.inference_mode():
        for some in _nearby(points):
            # Columns are centred on multiples of the hop: half a window of samples is before the first one.
            starts = sample_at(STEP_S) * some - sample_at(window_s / 2) - WINDOW_SAMPLES // 2
            end = int(starts[-1]) + columns * HOP_SAMPLES + WINDOW_SAMPLES
            span = _padded_span(audio, int(starts[0]), end)
            mels = mel_spectrogram(np.float32(gain) * span)
            windows = mels.unfold(0, columns, 1)[torch.from_numpy((starts - starts[0]) // HOP_SAMPLES)].mT
            vectors.append(network(windows).numpy())
            release(audio)
    return np.concatenate(vectors)


def _nearby(points: Int[np.ndarray, "point"]) -> Iterator[Int[np.ndarray, "some"]]:
    """Split points into groups that are small and short."""
    first = 0
    while first < len(points):
        some = points[first : first + WINDOWS_AT_ONCE]
        some = some[some < some[0] + LONGEST_GROUP_POINTS]
        yield some
        first += len(some)


def _padded_span(audio: np.ndarray, first: int, end: int) -> Float32[np.ndarray, "sample"]:
    """Samples from `first` to `end`, with silence beyond the ends of the audio."""
    span = np.zeros(end - first, np.float32)
    part = audio[max(first, 0) : max(end, 0)]
    start = max(-first, 0)
    span[start : start + len(part)] = part
    return span


def _annotation(points: np.ndarray, voices: np.ndarray, speech: Timeline) -> Annotation:
    annotation = Annotation()
    middles_s = points * STEP_S
    for span in speech:
        inside = np.flatnonzero((middles_s >= span.start - STEP_S) & (middles_s <= span.end + STEP_S))
        if not len(inside):
            inside = np.array([np.abs(middles_s - span.middle).argmin()])
        changes = np.flatnonzero(np.diff(voices[inside]))
        borders = [span.start, *(middles_s[inside][changes] + STEP_S / 2).tolist(), span.end]
        firsts = [0, *(changes + 1).tolist()]
        for first, start_s, end_s in zip(firsts, borders[:-1], borders[1:], strict=True):
            if turn := Segment(start_s, end_s):
                annotation[turn] = int(voices[inside[first]])
    return annotation
