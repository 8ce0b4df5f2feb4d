"""Metrics of head motion, as functions of arrays: one public function a metric.

Each function checks its arguments, takes the ground truth first and the prediction second, and returns a float, or
a `bootstrap.WeightedMean` where dialogues are pooled by a ratio of sums. Its docstring gives the formula, unit,
range, direction, ideal value and source. A metric is NaN where nothing can be measured, and raises `InputError`
where its arguments are wrong. Values are in base units: metres, radians, seconds, and standard deviations of an
expression coefficient.

Families
--------
dualtalk_benchmark
    The published benchmark: FD, P-FD, MSE, SID, rPCC, STS, variance, diversity.
mesh, lip_timing, lips
    Lip and face error on the mesh (LVE, MHD, FDD), lip-sync timing (MTM, SLCC), closure rates of the lips.
listener, synchrony, events
    Reactions of a listener (FRCorr, FRDist, FRDiv, FRVar, FRSyn), synchrony of two people, nods and face events.
stochastic
    Metrics of several samples: best of N, CRPS, coverage, diversity.
turn_transitions, turn_timing
    Motion at turn onsets, turn offsets, overlaps and backchannels; timing of mouth, nods and blinks.
kinematics, conversation_summary
    Statistics of motion without a ground truth, for one conversation.
bootstrap
    Pools clips and dialogues, with bootstrap confidence intervals.

`dualtalk.evaluation` computes them for every clip of several systems; `docs/metrics.md` lists what it reports.
"""
