"""Two people in conversation, in 3D."""

__version__ = "0.1.0"
