"""The rule-based animator: from the audio of two people to the motion of both.

It needs no training, so it animates any recording immediately. It generates the motion of the synthetic corpus,
and it is a baseline. A person's own speech drives their mouth, brows and head; the partner's speech and smiles
drive their listener responses. All randomness comes from the seed: each person's random stream depends on the
seed and on their own audio, so that swapping the two people swaps the two motions.

The motion is in the open head's expression space: expression coefficients are ARKit blendshape weights.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dualtalk.animator.curves import Curve, smoothed
from dualtalk.animator.face import breaths, brow_raises, resting_noise, smiles
from dualtalk.animator.gaze import blinks, eye_rotations, gaze_directions, head_share
from dualtalk.animator.head_pose import head_rotations
from dualtalk.animator.listening import GestureEvent, backchannels, mimicked_smiles, spontaneous_smiles
from dualtalk.animator.mouth import MouthMotion, speaking_mouth
from dualtalk.animator.voice_features import Transcript, VoiceFeatures, extract_voice_features
from dualtalk.core import EXPRESSION_COEFFICIENTS, Conversation, HeadMotion
from dualtalk.head.blendshapes import JAW_OPEN_RAD, UNIT_SLOT

# Jaw rotation at opening 1, chosen in experiments/real_lips. In tracked speakers the jaw's standard deviation
# about this axis is 0.03 to 0.06 rad.
SPEECH_JAW_RAD = 0.125
JAW_BREATH_RAD = 0.015
JAW_SIDE_SD_RAD = 0.006
# Spread lips are stretched, and their corners rise slightly.
STRETCH_SHARE, CORNER_SHARE = 0.6, 0.25


@dataclass(frozen=True, eq=False)
class Animation:
    """Motion of both people, and the gesture events that it contains.

    Attributes
    ----------
    conversation : Conversation
        The input conversation with motion.
    events : (list of GestureEvent, list of GestureEvent)
        Each person's nods, smiles and brow raises, in order of their first frame.
    """

    conversation: Conversation
    events: tuple[list[GestureEvent], list[GestureEvent]]


def animate(
    conversation: Conversation, seed: int = 0, transcripts: tuple[Transcript, Transcript] | None = None
) -> Animation:
    """Generate the motion of both people of a conversation from their audio.

    Parameters
    ----------
    conversation : Conversation
        Existing motion is replaced; its identities are kept.
    seed : int
        The same seed gives the same motion.
    transcripts : (Transcript, Transcript), optional
        Phonemes with times, for each person. Without them, a phoneme recogniser runs on the audio.
    """
    voices = [
        extract_voice_features(person, conversation.frames, transcript)
        for person, transcript in zip(conversation.participants, transcripts or (None, None), strict=True)
    ]
    streams = [np.random.default_rng(entropy) for entropy in conversation.participant_seeds(seed)]
    own_smiles = [spontaneous_smiles(voice, rng) for voice, rng in zip(voices, streams, strict=True)]
    events, motions = [], []
    for own, partner in ((0, 1), (1, 0)):
        rng = streams[own]
        responses = backchannels(voices[own], voices[partner], rng)
        responses += mimicked_smiles(own_smiles[partner], conversation.frames, rng)
        events.append(sorted(own_smiles[own] + responses, key=lambda event: (event.frame, event.kind)))
        motions.append(generate_motion(voices[own], events[own], rng))
    for index, person in enumerate(conversation.participants):
        if person.motion is not None:
            motions[index] = HeadMotion(motions[index].coefficients, "open", identity=person.motion.identity)
    return Animation(conversation.with_motion(*motions), (events[0], events[1]))


def generate_motion(voice: VoiceFeatures, events: list[GestureEvent], rng: np.random.Generator) -> HeadMotion:
    """Generate one person's motion from their voice features and gesture events."""
    gaze = gaze_directions(voice, rng)
    breath = breaths(voice)
    head = head_rotations(voice, events, head_share(gaze), breath, rng)
    mouth = speaking_mouth(voice)
    jaw = np.zeros((voice.frames, 3))
    jaw[:, 0] = SPEECH_JAW_RAD * mouth["opening"]
    jaw[:, 1] = JAW_SIDE_SD_RAD * smoothed(rng.standard_normal(voice.frames), 0.1) * mouth["opening"]
    weights = {
        **mouth_weights(mouth, jaw[:, 0]),
        **face_weights(
            smile=smiles(voice.frames, events, rng),
            brows=brow_raises(voice, events, rng),
            lid_closure=blinks(voice, gaze, rng),
            resting=[resting_noise(voice.frames, rng) for _ in range(4)],
            mouth=mouth,
        ),
    }
    jaw[:, 0] += JAW_BREATH_RAD * breath
    return HeadMotion.from_parts(
        expression=expression_from_weights(weights, voice.frames),
        jaw_rotvec_rad=jaw,
        head_rotvec_rad=head,
        eyes_rotvec_rad=eye_rotations(gaze, head),
        space="open",
    )


def mouth_weights(mouth: MouthMotion, jaw_open_rad: Curve) -> dict[str, Curve]:
    """ARKit weights of the speaking mouth. `mouthClose` closes the lips while the jaw is open."""
    return {
        "mouthClose": jaw_open_rad / JAW_OPEN_RAD * mouth["closure"],
        "mouthPucker": mouth["pucker"],
        "mouthFunnel": mouth["funnel"],
        "mouthStretchLeft": STRETCH_SHARE * mouth["stretch"],
        "mouthStretchRight": STRETCH_SHARE * mouth["stretch"],
        "mouthRollLower": mouth["roll_lower"],
        "mouthPressLeft": mouth["press"],
        "mouthPressRight": mouth["press"],
        "mouthLowerDownLeft": mouth["lower_down"],
        "mouthLowerDownRight": mouth["lower_down"],
        "mouthUpperUpLeft": mouth["upper_up"],
        "mouthUpperUpRight": mouth["upper_up"],
    }


def face_weights(
    *, smile: Curve, brows: Curve, lid_closure: Curve, resting: list[Curve], mouth: MouthMotion
) -> dict[str, Curve]:
    """ARKit weights of the rest of the face. Speech reduces the smile."""
    smile = smile * (1 - 0.4 * np.maximum(mouth["opening"], mouth["pucker"]))
    corners = CORNER_SHARE * mouth["stretch"] + resting[0]
    return {
        "mouthSmileLeft": smile + corners,
        "mouthSmileRight": 0.92 * smile + corners,
        "cheekSquintLeft": 0.6 * smile,
        "cheekSquintRight": 0.55 * smile,
        "eyeSquintLeft": 0.35 * smile + resting[1],
        "eyeSquintRight": 0.35 * smile + resting[1],
        "eyeBlinkLeft": lid_closure,
        "eyeBlinkRight": lid_closure,
        "browInnerUp": brows + resting[2],
        "browOuterUpLeft": 0.8 * brows,
        "browOuterUpRight": 0.7 * brows,
        "browDownLeft": resting[3],
        "browDownRight": resting[3],
    }


def expression_from_weights(weights: dict[str, Curve], frames: int) -> Float[np.ndarray, "frame 50"]:
    """Expression coefficients of the open head, with each blendshape weight clipped to 0 to 1."""
    expression = np.zeros((frames, EXPRESSION_COEFFICIENTS))
    for blendshape, curve in weights.items():
        expression[:, UNIT_SLOT[blendshape]] = np.clip(curve, 0, 1)
    return expression
