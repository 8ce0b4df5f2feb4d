"""Simulation: from the audio of two people to the motion of both.

`simulate` returns a conversation; `simulate_to_folder` also writes the video, the pages and a record of the run.
The package is called simulation, not simulate, so that `dualtalk.simulate` is the function.
"""

from dualtalk.lazy import lazy_attributes

# Loaded on first use: the closed loop, which training uses too, needs neither a renderer nor the pages.
_PUBLIC = {
    "SimulationOptions": "dualtalk.simulation.options",
    "SimulationReport": "dualtalk.simulation.pipeline",
    "simulate": "dualtalk.simulation.simulator",
    "simulate_to_folder": "dualtalk.simulation.pipeline",
}
__all__ = list(_PUBLIC)
__getattr__ = lazy_attributes(__name__, _PUBLIC)
