"""Evaluation of predicted motion against ground truth: loads files, computes metrics and baselines, writes tables.

`loading` finds and reads files, `preflight` checks them, `features` and `clip_metrics` measure one person of one
clip, `clip_runner` one clip, `runner` all systems on all clips. `builtin_metrics` defines the package's metrics,
and `registry` adds those of plug-ins. `baselines` makes the baseline motions, `curves` averages motion around role
transitions, and `tables` and `clip_table` write files.
"""
