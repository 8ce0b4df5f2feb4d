#version 330

// Soft portrait light: a warm key with light creeping round the terminator, a sky and a floor, a rim from behind.
// Colours are linear until the last line, which takes the square root for sRGB: near enough, and cheap in software.

uniform vec3 camera_m;
uniform vec3 key_light;
uniform vec3 rim_light;

in vec3 world_m;
in vec3 facing;
in vec3 base;
in vec4 finish;   // softness, shine, sharpness, openness
in vec3 iris_at;

out vec4 pixel;

const vec3 KEY = vec3(0.96, 0.90, 0.84);
const vec3 SKY = vec3(0.46, 0.48, 0.52);
const vec3 FLOOR = vec3(0.22, 0.18, 0.16);
const vec3 RIM = vec3(0.34, 0.36, 0.40);
const vec3 WHITE_OF_EYE = vec3(0.72, 0.67, 0.64);

// Iris, pupil and white from where on the eyeball the point lies: the iris has radius 1 in iris_at.
vec3 eye_colour() {
    float radius = length(iris_at.xy);
    float edge = 0.06;
    float fibres = 0.9 + 0.1 * sin(22.0 * atan(iris_at.y, iris_at.x)) * sin(9.0 * radius);
    vec3 iris = base * fibres * mix(1.5, 0.65, smoothstep(0.35, 1.0, radius)) * (1.0 - 0.35 * iris_at.y);
    iris *= 1.0 - 0.6 * smoothstep(0.8, 1.0, radius);
    iris = mix(vec3(0.004), iris, smoothstep(0.40 - edge, 0.40 + edge, radius));
    vec3 white = WHITE_OF_EYE * (1.0 - 0.12 * smoothstep(1.0, 2.0, radius));
    return mix(iris, white, smoothstep(1.0 - edge, 1.0 + edge, radius));
}

void main() {
    vec3 normal = normalize(facing);
    vec3 view = normalize(camera_m - world_m);
    float softness = finish.x, shine = finish.y, sharpness = finish.z, openness = finish.w;
    bool eye = iris_at.z > 0.0;
    vec3 albedo = eye ? eye_colour() : base;

    // Red light travels farthest under the skin, so the terminator is warmer than the lit side.
    vec3 creep = softness * vec3(1.0, 0.55, 0.45);
    vec3 lit = max((dot(normal, key_light) + creep) / (1.0 + creep), 0.0);
    vec3 around = mix(FLOOR, SKY, 0.5 + 0.5 * normal.y);
    float grazing = 1.0 - max(dot(normal, view), 0.0);
    float behind = max(dot(normal, rim_light), 0.0) * grazing * grazing;
    vec3 light = KEY * lit * mix(0.35, 1.0, openness) + around * openness + RIM * behind * openness;

    float glint = pow(max(dot(normal, normalize(key_light + view)), 0.0), sharpness);
    float sheen = shine * glint * openness * (0.6 + 0.8 * grazing);
    vec3 linear = albedo * light + KEY * sheen;
    pixel = vec4(sqrt(linear / (1.0 + 0.18 * linear)), 1.0);
}
