// The film's backdrop: brightest behind the heads, tinted for each person, with noise that keeps it from banding.

export const BACKDROP_VERTEX = `
in vec3 position;
out vec2 at;
void main() {
  at = vec2(0.5 + 0.5 * position.x, 0.5 - 0.5 * position.y);
  gl_Position = vec4(position.xy, 0.0, 1.0);
}`;

export const BACKDROP_FRAGMENT = `
uniform vec3 left_tint;
uniform vec3 right_tint;
uniform float falloff;
in vec2 at;
out vec4 pixel;
void main() {
  vec3 tint = mix(left_tint, right_tint, clamp((at.x - 0.3) / 0.4, 0.0, 1.0));
  float across = abs(at.x - 0.5) * falloff;
  float brightness = 1.02 - 0.75 * across * across - 0.55 * (at.y - 0.38) * (at.y - 0.38);
  float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
  pixel = vec4(tint * brightness + noise / 255.0, 1.0);
}`;
