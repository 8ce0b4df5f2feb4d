"""The data of the event rasters: speech, role transitions and detected events of a few clips."""

from collections.abc import Iterable

from dualtalk.evaluation.loading import cut, read_clip
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.runner import Evaluation, predicted, sides
from dualtalk.timebase import MOTION_FPS

MAX_CLIPS = 3


def timelines(evaluation: Evaluation, count: int = MAX_CLIPS) -> list[dict]:
    """Rows of events in seconds for each person of up to `count` clips.

    Clips with the worst transitions come first, then clips in their order.
    """
    by_clip = {job.files.clip: job for job in evaluation.jobs}
    worst = sorted(moment for row in evaluation.rows for moment in row.worst)
    clips = list(dict.fromkeys([*(moment.clip for moment in worst), *by_clip]))[:count]
    return [_timeline(by_clip[clip]) for clip in clips]


def _timeline(job: Job) -> dict:
    people = [cut(person, job.first, job.end) for person in read_clip(job.files)]
    rasters = []
    for side, who in sides(job):
        acts = {"reference": side.own}
        acts |= {system.name: side.act(predicted(job, system, who)[0]) for system in job.systems}
        changes = side.roles.transitions if side.roles else ()
        rasters.append(
            {
                "speaker": who + 1,
                "own": _spans(people[who].speech),
                "partner": _spans(people[1 - who].speech),
                "transitions": [[one.kind, round(one.time_s, 3)] for one in changes],
                "rows": [
                    {"name": name, "events": [_event(event) for event in act.events]} for name, act in acts.items()
                ],
            }
        )
    return {"clip": job.files.clip, "durationS": (job.end - job.first) / MOTION_FPS, "people": rasters}


def _spans(speech: Iterable | None) -> list[list[float]]:
    return [[round(span.start, 3), round(span.end, 3)] for span in speech or ()]


def _event(event) -> list:
    return [event.kind, event.first / MOTION_FPS, event.end / MOTION_FPS]
