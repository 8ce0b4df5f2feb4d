"""Drawing a conversation: films, stills and meshes."""

from importlib import import_module

# Loaded on first use: numpy is enough to import this, and GL enters only when a frame is drawn.
_PUBLIC = {
    "APPEARANCES": "dualtalk.render.scene",
    "Appearance": "dualtalk.render.scene",
    "render_conversation": "dualtalk.render.video",
    "render_stills": "dualtalk.render.video",
    "write_mesh": "dualtalk.render.mesh",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dualtalk.render' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
