"""Measuring systems: loading predictions and a reference, running the metrics, baselines, and tables.

`loading` finds and reads files, `preflight` checks them, `clip_metrics` measures one person in one clip, `runner`
measures all systems and pools them, `registry` names every metric, and `tables` writes what comes out.
"""
