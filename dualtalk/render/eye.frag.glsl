// Iris, pupil and sclera from the position on the eyeball: in iris_position, the iris has radius 1.

in vec3 world_m;
in vec3 facing;
in vec3 base;
in vec4 surface_material;
in vec3 iris_position;

out vec4 pixel;

const vec3 SCLERA = vec3(0.72, 0.67, 0.64);
const float PUPIL_RADIUS = 0.40;
const float EDGE = 0.06;

vec3 eye_colour() {
    float radius = iris_position.z > 0.0 ? length(iris_position.xy) : 9.0;
    float fibres = 0.9 + 0.1 * sin(22.0 * atan(iris_position.y, iris_position.x)) * sin(9.0 * radius);
    vec3 iris = base * fibres * mix(1.5, 0.65, smoothstep(0.35, 1.0, radius)) * (1.0 - 0.35 * iris_position.y);
    iris *= 1.0 - 0.6 * smoothstep(0.8, 1.0, radius);
    iris = mix(vec3(0.004), iris, smoothstep(PUPIL_RADIUS - EDGE, PUPIL_RADIUS + EDGE, radius));
    vec3 sclera = SCLERA * (1.0 - 0.12 * smoothstep(1.0, 2.0, radius));
    return mix(iris, sclera, smoothstep(1.0 - EDGE, 1.0 + EDGE, radius));
}

// Specular highlight of the key light, moved toward the viewer: at its true position, the lids would usually hide it.
float catch_light(vec3 normal) {
    vec3 view = normalize(camera_m - world_m);
    return smoothstep(0.978, 0.990, dot(normal, normalize(1.7 * view + key_light)));
}

void main() {
    vec3 normal = normalize(facing);
    vec3 shaded = shaded_colour(eye_colour(), world_m, normal, surface_material);
    pixel = vec4(mix(shaded, vec3(0.96), 0.85 * catch_light(normal)), 1.0);
}
