uniform mat4 clip_from_world;
uniform mat4 world_from_head;

in vec3 position;
in vec3 normal;
in vec4 colour;
in vec4 material;
in vec3 iris;

out vec3 world_m;
out vec3 facing;
out vec3 base;
out vec4 surface_material;
out vec3 iris_position;

void main() {
    vec4 world = world_from_head * vec4(position, 1.0);
    world_m = world.xyz;
    facing = mat3(world_from_head) * normal;
    base = colour.rgb;
    surface_material = material;
    iris_position = iris;
    gl_Position = clip_from_world * world;
}
