"""Metrics of motion: against a reference, against the sound, against the partner, and against tracked people.

Metrics are functions on arrays, reference first, prediction second; each says its formula, unit, direction and
perfect value, and answers NaN where there is nothing to measure. `dualtalk_benchmark` has the field's benchmark;
`mesh` and `lip_timing` what shows on the skin; `lips` and `kinematics` need no reference; `listener`, `events`,
`synchrony` and `stochastic` ask whether a person answers the other; `turn_transitions`, on the `roles` of who
speaks when, what happens as roles change. `bootstrap` pools dialogues and gives intervals.
"""
