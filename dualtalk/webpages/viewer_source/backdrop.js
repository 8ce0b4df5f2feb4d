// The video's backdrop: brightest behind the heads, tinted for each person. The formula is evaluated at the corners of a
// grid and interpolated, which differs by less than one grey level: in software rendering, evaluating it per pixel
// takes as long as rendering a head.

import { BufferAttribute, BufferGeometry, GLSL3, RawShaderMaterial, Vector3 } from "three";

const CELLS = 40;

const VERTEX = `precision highp float;
uniform vec3 left_tint;
uniform vec3 right_tint;
uniform float falloff;
in vec2 position;
out vec3 shaded;
void main() {
  vec3 tint = mix(left_tint, right_tint, clamp((position.x - 0.3) / 0.4, 0.0, 1.0));
  float across = abs(position.x - 0.5) * falloff, down = position.y - 0.38;
  shaded = tint * (1.02 - 0.75 * across * across - 0.55 * down * down);
  gl_Position = vec4(2.0 * position.x - 1.0, 1.0 - 2.0 * position.y, 0.0, 1.0);
}`;

const FRAGMENT = `precision mediump float;
in vec3 shaded;
out vec4 pixel;
void main() { pixel = vec4(shaded, 1.0); }`;

export function backdropGeometry() {
  const side = CELLS + 1, positions = [], corners = [];
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      positions.push(column / CELLS, row / CELLS);
      const index = row * side + column;
      if (row < CELLS && column < CELLS) corners.push(index, index + side, index + 1, index + 1, index + side, index + side + 1);
    }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(positions), 2));
  return geometry.setIndex(corners);
}

export function backdropMaterial() {
  const uniforms = { left_tint: { value: new Vector3() }, right_tint: { value: new Vector3() }, falloff: { value: 1 } };
  return new RawShaderMaterial({
    glslVersion: GLSL3, depthTest: false, depthWrite: false, uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT,
  });
}
