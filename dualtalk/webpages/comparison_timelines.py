"""Who spoke, which roles changed, and what each head did, of a few clips: what a raster is drawn from."""

from collections.abc import Iterable

from dualtalk.evaluation.loading import cut, read_clip
from dualtalk.evaluation.preflight import Job
from dualtalk.evaluation.runner import Evaluation, predicted, sides
from dualtalk.timebase import MOTION_FPS

CLIPS_SHOWN = 3


def timelines(evaluation: Evaluation, count: int = CLIPS_SHOWN) -> list[dict]:
    """Of the clips with the worst transitions, then the first: for each person, rows of events in seconds."""
    by_clip = {job.files.clip: job for job in evaluation.jobs}
    worst = sorted(moment for row in evaluation.rows for moment in row.worst)
    clips = list(dict.fromkeys([*(moment.clip for moment in worst), *by_clip]))[:count]
    return [_timeline(by_clip[clip]) for clip in clips]


def _timeline(job: Job) -> dict:
    people = [cut(person, job.first, job.end) for person in read_clip(job.files)]
    shown = []
    for side, who in sides(job):
        acts = {"reference": side.own}
        acts |= {system.name: side.act(predicted(job, system, who)[0]) for system in job.systems}
        changes = side.roles.transitions if side.roles else ()
        shown.append(
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
    return {"clip": job.files.clip, "durationS": (job.end - job.first) / MOTION_FPS, "people": shown}


def _spans(speech: Iterable | None) -> list[list[float]]:
    return [[round(span.start, 3), round(span.end, 3)] for span in speech or ()]


def _event(event) -> list:
    return [event.kind, event.first / MOTION_FPS, event.end / MOTION_FPS]
