"""The rule-based animator on constructed voice features, without a recording."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dualtalk.animator import curves, gaze, head_pose, listening, mouth, rules
from dualtalk.animator.face import breaths
from dualtalk.animator.voice_features import VoiceFeatures
from dualtalk.audio.phonemes import INVENTORY, Phoneme
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.lips import OPEN_M
from dualtalk.timebase import MOTION_FPS, frame_at


def voice(frames: int, phrases: list[tuple[int, int]], phonemes=(), pitch=None) -> VoiceFeatures:
    speaking = np.zeros(frames, bool)
    for first, last in phrases:
        speaking[first:last] = True
    return VoiceFeatures(
        loudness_db=np.where(speaking, 0.0, -40.0),
        pitch_semitones=np.where(speaking, 0.0, np.nan) if pitch is None else pitch,
        speaking=speaking,
        phrases=np.array(phrases, int).reshape(-1, 2),
        phonemes=tuple(phonemes),
    )


def alternating(seconds: int, turn_s: int = 5) -> tuple[VoiceFeatures, VoiceFeatures]:
    """Two people who take turns of `turn_s`, with gaps of half a second."""
    turn = turn_s * MOTION_FPS
    phrases = [(start, start + turn - 12) for start in range(0, seconds * MOTION_FPS - turn + 1, turn)]
    frames = seconds * MOTION_FPS
    return voice(frames, phrases[::2]), voice(frames, phrases[1::2])


def spoken(symbols: str, each_s: float = 0.1, start_s: float = 1.0) -> list[Phoneme]:
    return [
        Phoneme(s, start_s + i * each_s, start_s + (i + 1) * each_s, confidence=1.0) for i, s in enumerate(symbols)
    ]


def lip_gaps_m(symbols: str, each_s: float, loudness_db: float = 0.0) -> dict[str, list[float]]:
    """Lip gap at the middle of each of `symbols`, which are spoken at a constant rate."""
    phonemes = spoken(symbols, each_s)
    said = voice(150, [(25, 26 + int(len(symbols) * each_s * MOTION_FPS))], phonemes)
    said.loudness_db[said.speaking] = loudness_db
    motion = rules.generate_motion(said, [], np.random.default_rng(0))
    gap_m = load_head("open").lip_gap(motion)
    found: dict[str, list[float]] = {}
    for one in phonemes:
        found.setdefault(one.ipa, []).append(float(gap_m[frame_at((one.start_s + one.end_s) / 2)]))
    return found


@pytest.mark.parametrize("each_s", [0.05, 0.1, 0.25])
def test_lips_close_at_every_bilabial_at_any_speech_rate(each_s):
    gaps = lip_gaps_m("ɑpɑmɑbipumuptmk", each_s)
    assert max(gap for symbol in "pbm" for gap in gaps[symbol]) <= LIPS_CLOSED_M


@pytest.mark.parametrize("loudness_db", [-9.0, 6.0])
@pytest.mark.parametrize("each_s", [0.08, 0.2])
def test_lips_close_nowhere_else(each_s, loudness_db):
    gaps = lip_gaps_m("sɑtiðɛkuʃɔɹælʌndhimɑbɛ", each_s, loudness_db)
    closed = [symbol for symbol in gaps if symbol not in "bm" and min(gaps[symbol]) <= LIPS_CLOSED_M]
    assert not closed


@pytest.mark.parametrize("each_s", [0.08, 0.15])
def test_lips_open_at_open_vowels(each_s):
    gaps = lip_gaps_m("mɑmæbɛdʌn", each_s)
    assert min(gap for symbol in "ɑæɛ" for gap in gaps[symbol]) > OPEN_M


def test_fast_vowels_undershoot_and_fast_closures_do_not():
    """Lindblom 1963: the shorter a vowel, the further it stays from its target."""
    fast, medium, slow = (lip_gaps_m("tɑtɑpɑtɑt", each_s) for each_s in (0.06, 0.1, 0.2))
    openings = [np.mean(gaps["ɑ"]) for gaps in (fast, medium, slow)]
    assert openings == sorted(openings)
    assert openings[0] < 0.85 * openings[2]
    assert fast["p"] == medium["p"] == slow["p"] == [0.0]


def test_the_lower_lip_meets_the_teeth_but_not_the_upper_lip_at_f():
    gaps = lip_gaps_m("ɑfɑvɑ", 0.1)
    assert 0 < max(*gaps["f"], *gaps["v"]) < 0.5 * min(gaps["ɑ"])


def test_lips_round_before_the_rounded_vowel():
    rounded = mouth.coarticulate(tuple(spoken("tu")), 75)[:, mouth.CHANNEL["pucker"]]
    spread = mouth.coarticulate(tuple(spoken("ti")), 75)[:, mouth.CHANNEL["pucker"]]
    during_t = int(1.05 * MOTION_FPS)
    assert rounded[during_t] > spread[during_t] + 0.1


def test_mouth_rests_away_from_speech():
    motion = mouth.speaking_mouth(voice(100, [(25, 50)], spoken("ɑmɑlɑ")))
    assert not motion.channels[:17].any()
    assert not motion.channels[58:].any()


def test_every_phoneme_of_the_inventory_has_exactly_one_viseme():
    symbols = " ".join(mouth.VISEME_PHONEMES.values()).split()
    assert sorted(symbols) == sorted(INVENTORY)


def test_every_viseme_has_targets_for_known_channels():
    assert set(mouth.VISEME_TARGETS) == set(mouth.VISEME_PHONEMES)
    assert {channel for targets in mouth.VISEME_TARGETS.values() for channel in targets} <= set(mouth.CHANNELS)


def test_gaze_shares_are_near_the_published_ones():
    """75 % at the partner while listening, 41 % while speaking (Argyle & Ingham 1972), within 12 points."""
    own, _ = alternating(1200, turn_s=8)
    averted = gaze.gaze_aversion(own, np.random.default_rng(0))
    assert np.mean(~averted[~own.speaking]) == pytest.approx(0.75, abs=0.12)
    assert np.mean(~averted[own.speaking]) == pytest.approx(0.41, abs=0.12)


def test_gaze_stays_fixed_in_the_room_while_the_head_turns():
    head = np.array([[0.1, -0.2, 0.05], [0.0, 0.25, 0.0]])
    eyes = gaze.eye_rotations(np.zeros((2, 2)), head)
    forward = np.array([0.0, 0.0, 1.0])
    in_room = (Rotation.from_rotvec(head) * Rotation.from_rotvec(eyes[:, :3])).apply(forward)
    assert in_room == pytest.approx(np.tile(forward, (2, 1)), abs=1e-6)


def test_blink_rates_are_near_the_published_ones():
    own, _ = alternating(600)
    rng = np.random.default_rng(1)
    lids = gaze.blinks(own, gaze.gaze_directions(own, rng), rng)
    rate = ((lids[1:] > 0.5) & (lids[:-1] <= 0.5)).sum() / 10
    assert 17 <= rate <= 35
    assert lids.max() == 1.0


def test_responses_follow_their_cue_and_are_not_too_frequent():
    own, partner = alternating(600)
    events = listening.backchannels(own, partner, np.random.default_rng(2))
    nods = [event for event in events if event.kind == "nod"]
    assert len(nods) > 20
    assert all(2 <= event.frame - event.cause_frame <= 30 for event in nods)
    spacing = np.diff([event.frame for event in nods])
    # Ward & Tsukahara 2000: no backchannel within 800 ms of the last.
    assert spacing.min() >= 0.8 * MOTION_FPS


def test_low_pitch_is_a_cue_only_after_enough_speech():
    """Ward & Tsukahara 2000: 110 ms of low pitch (3 frames), after at least 700 ms of speech."""
    pitch = np.full(100, np.nan)
    pitch[10:80] = np.linspace(1, 2, 70)
    pitch[15:20] = -5.0
    pitch[60:66] = -5.0
    cues = listening.low_pitch_cues(voice(100, [(10, 80)], pitch=pitch))
    assert cues == [62]


def test_inhalation_precedes_the_phrase():
    breath = breaths(voice(100, [(50, 80)]))
    assert breath[44:50].max() == pytest.approx(1.0, abs=0.05)
    assert not breath[:37].any()
    assert not breath[54:].any()


def test_a_nod_starts_downward_and_returns_to_zero():
    curve = np.zeros(50)
    curves.add_nod(curve, 10, cycles=2.0, rate_hz=2.0, height=0.1)
    assert curve.min() >= 0
    assert 0.07 < curve.max() <= 0.1
    assert not curve[:10].any()
    assert not curve[36:].any()


def test_noise_has_the_requested_band_and_variance():
    noise = curves.coloured_noise(5000, np.random.default_rng(0), lowest_hz=0.2, highest_hz=2.0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / MOTION_FPS)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    assert power[(frequency > 0.15) & (frequency < 2.1)].sum() / power.sum() > 0.99


@pytest.mark.parametrize("frames", [1, 2, 10])
def test_the_shortest_recordings_give_finite_motion(frames):
    silent = voice(frames, [])
    rng = np.random.default_rng(0)
    directions = gaze.gaze_directions(silent, rng)
    head = head_pose.head_rotations(silent, [], gaze.head_share(directions), breaths(silent), rng)
    assert head.shape == (frames, 3)
    assert np.isfinite(head).all()
    assert np.isfinite(gaze.eye_rotations(directions, head)).all()
    assert not mouth.speaking_mouth(silent).channels.any()
