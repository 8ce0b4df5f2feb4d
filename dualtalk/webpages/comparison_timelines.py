"""The data of the event rasters: speech, role transitions and detected events of a few clips."""

from collections.abc import Iterable

from dualtalk.evaluation.baselines import GROUND_TRUTH
from dualtalk.evaluation.clip_runner import prediction_of, reference_tracks
from dualtalk.evaluation.loading import cut_person, read_clip
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.runner import Evaluation
from dualtalk.timebase import MOTION_FPS

MAX_CLIPS = 3


def timelines(evaluation: Evaluation, count: int = MAX_CLIPS) -> list[dict]:
    """Rows of events in seconds for each person of up to `count` clips.

    Clips with the worst transitions come first, then clips in their order.
    """
    by_clip = {job.files.clip: job for job in evaluation.jobs}
    worst = sorted(transition for row in evaluation.rows for transition in row.worst)
    clips = list(dict.fromkeys([*(transition.clip for transition in worst), *by_clip]))[:count]
    return [_timeline(by_clip[clip]) for clip in clips]


def _timeline(job: Job) -> dict:
    people = [cut_person(person, job.first, job.end) for person in read_clip(job.files)]
    rasters = []
    for track, who in reference_tracks(job):
        features = {GROUND_TRUTH: track.ground_truth}
        features |= {system.name: track.features(prediction_of(job, system, who)[0]) for system in job.systems}
        transitions = track.roles.transitions if track.roles else ()
        rasters.append(
            {
                "speaker": who + 1,
                "own": _spans(people[who].speech),
                "partner": _spans(people[1 - who].speech),
                "transitions": [[one.kind, round(one.time_s, 3)] for one in transitions],
                "rows": [
                    {"name": name, "events": [_event(event) for event in one.events]}
                    for name, one in features.items()
                ],
            }
        )
    return {"clip": job.files.clip, "durationS": (job.end - job.first) / MOTION_FPS, "people": rasters}


def _spans(speech: Iterable | None) -> list[list[float]]:
    return [[round(span.start, 3), round(span.end, 3)] for span in speech or ()]


def _event(event) -> list:
    return [event.kind, event.first / MOTION_FPS, event.end / MOTION_FPS]
