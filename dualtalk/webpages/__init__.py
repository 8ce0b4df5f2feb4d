"""The web pages that dualtalk writes: conversation report, comparison report of systems, and 3D viewer.

The pages share one base template and the charts in `assets/`. This package imports `export` for the viewer's glTF
file and `render` for its colours and shaders.
"""
