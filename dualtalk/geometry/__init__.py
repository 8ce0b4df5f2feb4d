"""Rotations, and resampling and smoothing of motion."""
