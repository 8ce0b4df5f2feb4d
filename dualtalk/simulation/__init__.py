"""From two voices to the motion of both people.

The package is called simulation, not simulate, so that `dualtalk.simulate` is the function.
"""

from dualtalk.simulation.simulate import simulate

__all__ = ["simulate"]
