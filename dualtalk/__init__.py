"""Two people in conversation, in 3D: audio of both in, speaking and listening head motion of both out.

import dualtalk

conversation = dualtalk.simulate("call.wav", seed=0)
conversation.save("out")
# Or everything that `dualtalk simulate` writes: motion, video, report and viewer.
dualtalk.simulate_to_folder("call.wav", "call", dualtalk.SimulationOptions(seed=0))
head = dualtalk.load_head("open")
head.vertices(conversation.a.motion)     # (frame, vertex, 3), metres
"""

from dualtalk.lazy import lazy_attributes

__version__ = "0.1.0"

# Loaded on first use, so that `import dualtalk` and the command line start at once.
_PUBLIC = {
    "Conversation": "dualtalk.core",
    "EvaluationOptions": "dualtalk.comparison",
    "HeadMotion": "dualtalk.core",
    "Participant": "dualtalk.core",
    "evaluate_to_folder": "dualtalk.comparison",
    "load_head": "dualtalk.head",
    "load_model": "dualtalk.models.checkpoint",
    "SimulationOptions": "dualtalk.simulation",
    "SimulationReport": "dualtalk.simulation",
    "simulate": "dualtalk.simulation",
    "simulate_to_folder": "dualtalk.simulation",
}
__all__ = list(_PUBLIC)
__getattr__ = lazy_attributes(__name__, _PUBLIC)
