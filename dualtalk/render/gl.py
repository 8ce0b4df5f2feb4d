"""What both renderers need to know about OpenGL on this machine."""

# Debian and Ubuntu packages that provide EGL and software OpenGL (Mesa).
GL_PACKAGES = "libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2"
