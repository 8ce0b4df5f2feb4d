// Lit at the vertices: they lie a few pixels apart, and in software a pixel's shader is what costs.

uniform mat4 clip_from_world;
uniform mat4 world_from_head;

in vec3 position;
in vec3 normal;
in vec4 colour;
in vec4 material;

out vec4 seen;

void main() {
    vec4 world = world_from_head * vec4(position, 1.0);
    vec3 facing = normalize(mat3(world_from_head) * normal);
    seen = vec4(shaded_colour(colour.rgb, world.xyz, facing, material), colour.a);
    gl_Position = clip_from_world * world;
}
