"""A conversation as one page that shows both people in 3D, with their sound.

It stands above `export`, whose glTF file it carries, and `render`, whose colours, shaders and charts it uses.
"""

from dualtalk.view.page import write_viewer

__all__ = ["write_viewer"]
