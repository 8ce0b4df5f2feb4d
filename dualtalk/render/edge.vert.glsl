// A band of pixels along an edge of the mesh. Each edge has four vertices with the same two ends.
//
// Across an edge that is nearer to level than to upright, distances are measured upward, otherwise to the right.

uniform mat4 clip_from_world;
uniform mat4 world_from_head;
uniform vec2 viewport_px;

in vec3 first;
in vec3 second;

noperspective out float distance_px;
flat out float slope;
flat out ivec2 across;

vec4 projected(vec3 position) {
    return clip_from_world * (world_from_head * vec4(position, 1.0));
}

void main() {
    vec4 a = projected(first), b = projected(second);
    vec2 extent_px = abs(a.xy / a.w - b.xy / b.w) * viewport_px;
    bool level = extent_px.x >= extent_px.y;
    across = level ? ivec2(0, 1) : ivec2(1, 0);
    slope = min(extent_px.x, extent_px.y) / max(max(extent_px.x, extent_px.y), 1e-6);

    int corner = gl_VertexID & 3;
    gl_Position = corner < 2 ? a : b;
    // As far as the edge covers part of a pixel.
    distance_px = ((corner & 1) == 0 ? -0.5 : 0.5) * (1.0 + slope);
    gl_Position.xy += 2.0 * distance_px * vec2(across) / viewport_px * gl_Position.w;
}
