"""Speaker diarization of two people with bundled weights: a pyannote.audio pipeline that works offline.

1. Voice activity detection finds speech.
2. A d-vector (speaker embedding) is computed for the half second around every tenth of a second of speech.
3. The d-vectors are clustered in two. Each cluster becomes a Gaussian with a shared covariance, and the Viterbi
   path with a cost per speaker change gives the turns.

Half a second is short for a d-vector, but turns are short too: on real conversations longer windows blur more than
they gain. The output has no overlap: where both people speak, the louder one is chosen.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pyannote.core import Annotation, Segment, SlidingWindowFeature, Timeline

from dualtalk.audio.speaker_embedding import SpeakerEmbedding, at_training_level
from dualtalk.audio.third_party import Inference, KMeansClustering, Pipeline
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

STEP_S = 0.1
TURN_WINDOW_S = 0.5
# The window that the network was trained on. It decides more reliably whether there are two speakers at all.
VOICE_WINDOW_S = 1.6
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
WINDOWS_AT_ONCE = 256


class TwoSpeakerDiarization(Pipeline):
    """Diarization into at most two speakers, labelled 0 and 1; only label 0 if there is one speaker."""

    def __init__(self) -> None:
        super().__init__()
        self._of_turn, self._of_voice = (
            Inference(SpeakerEmbedding(window_s), step=STEP_S, batch_size=WINDOWS_AT_ONCE)
            for window_s in (TURN_WINDOW_S, VOICE_WINDOW_S)
        )

    def default_parameters(self) -> dict:
        return {}

    def apply(self, file: dict) -> Annotation:
        """Annotate `file["waveform"]`, (1, sample) at 16 kHz."""
        audio = file["waveform"][0]
        speech = detect_speech(audio.numpy())
        if not speech:
            return Annotation()
        spoken = torch.cat([audio[sample_at(span.start) : sample_at(span.end)] for span in speech])
        audio = at_training_level(audio, spoken)
        points = _points_in(speech, len(audio) / AUDIO_RATE_HZ)
        fine, coarse = (_embed(audio, network, points * STEP_S) for network in (self._of_turn, self._of_voice))
        return _annotation(points, cluster_two_speakers(fine, coarse, points), speech)


def cluster_two_speakers(
    fine: Float[np.ndarray, "point coef"],
    coarse: Float[np.ndarray, "point coef"],
    points: Int[np.ndarray, "point"],
) -> Int[np.ndarray, "point"]:
    """Assign each point to speaker 0 or 1.

    Parameters
    ----------
    fine : (point, coef)
        d-vectors of half a second, which are clustered.
    coarse : (point, coef)
        d-vectors of 1.6 s, which decide whether there is more than one speaker.
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
    reduced = centred @ np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS].T
    # k-means with several initializations; a single one often ends in a worse optimum. It modifies its input.
    voices = KMeansClustering().cluster(fine.copy(), num_clusters=2)
    after_silence = np.diff(points) > 1
    for _ in range(ROUNDS):
        if len(np.unique(voices)) < 2:
            return one_voice
        voices = viterbi_path(_log_likelihood(reduced, voices), after_silence)
    if min(voices.sum(), len(voices) - voices.sum()) * STEP_S < SHORTEST_VOICE_S:
        return one_voice
    one, other = _means(coarse, voices)
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return voices if cosine < ONE_VOICE_COSINE else one_voice


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


def _embed(audio: torch.Tensor, network: Inference, times_s: np.ndarray) -> Float[np.ndarray, "point coef"]:
    """One d-vector for the window centred on each time."""
    half = sample_at(network.duration / 2)
    padded = torch.nn.functional.pad(audio, (half, half + sample_at(STEP_S)))
    vectors = network({"waveform": padded[None], "sample_rate": AUDIO_RATE_HZ})
    assert isinstance(vectors, SlidingWindowFeature)
    return vectors.data[np.round(times_s / STEP_S).astype(int)]


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
