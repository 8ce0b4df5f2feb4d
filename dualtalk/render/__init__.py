"""Rendering of conversations: videos, still images and meshes."""

from dualtalk.lazy import lazy_attributes

# Imported on first use: importing this package needs numpy only, and GL is loaded when a renderer is opened.
_PUBLIC = {
    "APPEARANCES": "dualtalk.render.scene",
    "Appearance": "dualtalk.render.scene",
    "draw_stills": "dualtalk.render.video",
    "draw_video": "dualtalk.render.video",
    "render_conversation": "dualtalk.render.video",
    "render_stills": "dualtalk.render.video",
    "write_mesh": "dualtalk.render.mesh",
}
__all__ = list(_PUBLIC)
__getattr__ = lazy_attributes(__name__, _PUBLIC)
