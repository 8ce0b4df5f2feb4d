// Portrait lighting: a warm key light with wrapped diffuse shading, ambient light from sky and floor, and a rim light.
// Colours are linear until the last line, where a square root approximates the sRGB curve at low cost in software.

uniform vec3 camera_m;
uniform vec3 key_light;
uniform vec3 rim_light;

const vec3 KEY = vec3(0.96, 0.90, 0.84);
const vec3 SKY = vec3(0.46, 0.48, 0.52);
const vec3 FLOOR = vec3(0.22, 0.18, 0.16);
const vec3 RIM = vec3(0.34, 0.36, 0.40);

// material: wrap, specular strength, specular exponent, ambient occlusion (1 is unoccluded)
vec3 shaded_colour(vec3 albedo, vec3 world_m, vec3 normal, vec4 material) {
    float wrap = material.x, specular = material.y, exponent = material.z, ambient_occlusion = material.w;
    vec3 view = normalize(camera_m - world_m);

    // Subsurface scattering: red light travels farthest, so the terminator is warmer than the lit side.
    vec3 wrap_rgb = wrap * vec3(1.0, 0.55, 0.45);
    vec3 lit = max((dot(normal, key_light) + wrap_rgb) / (1.0 + wrap_rgb), 0.0);
    vec3 ambient = mix(FLOOR, SKY, 0.5 + 0.5 * normal.y);
    float grazing = 1.0 - max(dot(normal, view), 0.0);
    float behind = max(dot(normal, rim_light), 0.0) * grazing * grazing;
    vec3 light = KEY * lit * mix(0.35, 1.0, ambient_occlusion) + (ambient + RIM * behind) * ambient_occlusion;

    float glint = pow(max(dot(normal, normalize(key_light + view)), 0.0), exponent);
    vec3 linear = albedo * light + KEY * specular * glint * ambient_occlusion * (0.6 + 0.8 * grazing);
    return sqrt(linear / (1.0 + 0.18 * linear));
}
