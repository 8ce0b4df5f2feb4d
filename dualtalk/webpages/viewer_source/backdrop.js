// The film's backdrop: brightest behind the heads, tinted for each person. A grid fine enough that colours between
// its corners are those of the formula to within a grey level: in software, a formula a pixel costs as much as a head.

import { BufferAttribute, BufferGeometry, GLSL3, RawShaderMaterial, Vector3 } from "three";

const CELLS = 40;

const VERTEX = `precision highp float;
uniform vec3 left_tint;
uniform vec3 right_tint;
uniform float falloff;
in vec2 position;
out vec3 seen;
void main() {
  vec3 tint = mix(left_tint, right_tint, clamp((position.x - 0.3) / 0.4, 0.0, 1.0));
  float across = abs(position.x - 0.5) * falloff, down = position.y - 0.38;
  seen = tint * (1.02 - 0.75 * across * across - 0.55 * down * down);
  gl_Position = vec4(2.0 * position.x - 1.0, 1.0 - 2.0 * position.y, 0.0, 1.0);
}`;

const FRAGMENT = `precision mediump float;
in vec3 seen;
out vec4 pixel;
void main() { pixel = vec4(seen, 1.0); }`;

export function backdropGeometry() {
  const side = CELLS + 1, places = [], corners = [];
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      places.push(column / CELLS, row / CELLS);
      const here = row * side + column;
      if (row < CELLS && column < CELLS) corners.push(here, here + side, here + 1, here + 1, here + side, here + side + 1);
    }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(places), 2));
  return geometry.setIndex(corners);
}

export function backdropMaterial() {
  const uniforms = { left_tint: { value: new Vector3() }, right_tint: { value: new Vector3() }, falloff: { value: 1 } };
  return new RawShaderMaterial({
    glslVersion: GLSL3, depthTest: false, depthWrite: false, uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT,
  });
}
