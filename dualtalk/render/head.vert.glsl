// Lighting per vertex: vertices are a few pixels apart, and software rendering is limited by fragment shading.

uniform mat4 clip_from_world;
uniform mat4 world_from_head;

in vec3 position;
in vec3 normal;
in vec4 colour;
in vec4 material;

out vec4 shaded;

void main() {
    vec4 world = world_from_head * vec4(position, 1.0);
    vec3 facing = normalize(mat3(world_from_head) * normal);
    shaded = vec4(shaded_colour(colour.rgb, world.xyz, facing, material), colour.a);
    gl_Position = clip_from_world * world;
}
