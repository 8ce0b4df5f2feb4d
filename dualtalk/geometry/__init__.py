"""Rotations, resampling of motion to other frame rates, and runs in masks."""
