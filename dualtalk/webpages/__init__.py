"""The pages that dualtalk writes: a conversation's report, a comparison of systems, and a conversation in 3D.

It stands above `export`, whose glTF file the viewer carries, and `render`, whose colours and shaders it uses.
"""
