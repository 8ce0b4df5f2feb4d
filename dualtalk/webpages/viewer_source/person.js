// One person's head, posed at any time between frames: blendshapes, skinning and normals, computed on the mesh before its
// vertices are split at material borders. In software rendering this is faster than a shader that evaluates all
// blendshapes, and the normals are those of the posed face, as in the video.

import { Matrix4, Quaternion, Vector3 } from "three";

const STRIDE = 6;
const INFLUENCES = 4;

export class Person {
  // `source` is the vertex that each corner copies.
  constructor(glb, label, source) {
    const { document } = glb;
    const number = document.meshes.findIndex(mesh => mesh.name === label);
    const [primitive] = document.meshes[number].primitives;
    const body = document.nodes.findIndex(node => node.mesh === number);
    const skin = document.skins[document.nodes[body].skin];
    this.source = source;
    this.vertexCount = source.reduce((most, vertex) => Math.max(most, vertex), 0) + 1;
    this.corner = new Uint32Array(this.vertexCount);
    source.forEach((vertex, corner) => { this.corner[vertex] = corner; });
    this.rest = this.perVertex(glb.values(primitive.attributes.POSITION), 3);
    this.joints = this.perVertex(glb.values(primitive.attributes.JOINTS_0), INFLUENCES);
    this.jointWeights = this.perVertex(glb.values(primitive.attributes.WEIGHTS_0), INFLUENCES);
    this.faces = glb.values(primitive.indices).map(corner => source[corner]);
    this.shapes = primitive.targets.map(target => this.shape(glb.displacement(target.POSITION)));
    this.readSkeleton(glb, skin);
    this.readTracks(glb, document.animations.find(one => one.name === label), body, skin);
    this.posed = new Float32Array(3 * this.vertexCount);
    this.normals = new Float32Array(3 * this.vertexCount);
    // Position and normal of each corner.
    this.corners = new Float32Array(STRIDE * source.length);
  }

  // Converts values per corner to values per vertex.
  perVertex(values, width) {
    const result = new values.constructor(width * this.vertexCount);
    this.corner.forEach((corner, vertex) => result.set(values.subarray(width * corner, width * (corner + 1)), width * vertex));
    return result;
  }

  shape({ corners, offsets }) {
    const rows = [];
    corners.forEach((corner, row) => { if (this.corner[this.source[corner]] === corner) rows.push(row); });
    const result = new Float32Array(3 * rows.length);
    rows.forEach((row, at) => result.set(offsets.subarray(3 * row, 3 * row + 3), 3 * at));
    return { vertices: Uint32Array.from(rows, row => this.source[corners[row]]), offsets: result };
  }

  readSkeleton(glb, skin) {
    const { nodes } = glb.document;
    const inverseBind = glb.values(skin.inverseBindMatrices);
    this.bones = skin.joints.map((node, bone) => ({
      parent: skin.joints.findIndex(other => nodes[other].children?.includes(node)),
      orientation: new Quaternion(),
      position: new Vector3(...(nodes[node].translation ?? [0, 0, 0])),
      world: new Matrix4(),
      inverseBind: new Matrix4().fromArray(inverseBind, 16 * bone),
      skinning: new Matrix4(),
    }));
  }

  readTracks(glb, animation, body, skin) {
    this.tracks = {};
    for (const { sampler, target } of animation.channels) {
      const values = glb.values(animation.samplers[sampler].output);
      if (target.node === body) this.tracks.weights = values;
      else this.bones[skin.joints.indexOf(target.node)][target.path] = values;
    }
    this.frames = this.tracks.weights.length / this.shapes.length;
  }

  // Poses the head at frame `at`, which may lie between two frames; writes `posed` and `corners`.
  pose(at) {
    const clamped = Math.min(Math.max(at, 0), this.frames - 1);
    const first = Math.min(Math.floor(clamped), Math.max(this.frames - 2, 0)), next = Math.min(first + 1, this.frames - 1);
    this.morph(first, next, clamped - first);
    this.poseBones(first, next, clamped - first);
    this.skin();
    this.computeNormals();
    this.fillCorners();
  }

  morph(first, next, fraction) {
    const { posed, shapes, tracks: { weights } } = this;
    posed.set(this.rest);
    shapes.forEach(({ vertices, offsets }, shape) => {
      const previous = weights[first * shapes.length + shape], following = weights[next * shapes.length + shape];
      const weight = previous + fraction * (following - previous);
      if (weight === 0) return;
      for (let row = 0; row < vertices.length; row++) {
        const to = 3 * vertices[row], from = 3 * row;
        posed[to] += weight * offsets[from];
        posed[to + 1] += weight * offsets[from + 1];
        posed[to + 2] += weight * offsets[from + 2];
      }
    });
  }

  poseBones(first, next, fraction) {
    const other = new Quaternion(), shift = new Vector3(), one = new Vector3(1, 1, 1);
    for (const bone of this.bones) {
      if (bone.rotation)
        bone.orientation.fromArray(bone.rotation, 4 * first).slerp(other.fromArray(bone.rotation, 4 * next), fraction);
      if (bone.translation)
        bone.position.fromArray(bone.translation, 3 * first).lerp(shift.fromArray(bone.translation, 3 * next), fraction);
      bone.world.compose(bone.position, bone.orientation, one);
      if (bone.parent >= 0) bone.world.premultiply(this.bones[bone.parent].world);
      bone.skinning.multiplyMatrices(bone.world, bone.inverseBind);
    }
  }

  skin() {
    const { posed, joints, jointWeights } = this;
    const matrices = this.bones.map(bone => bone.skinning.elements);
    for (let vertex = 0; vertex < this.vertexCount; vertex++) {
      const at = 3 * vertex, x = posed[at], y = posed[at + 1], z = posed[at + 2];
      let toX = 0, toY = 0, toZ = 0;
      for (let influence = INFLUENCES * vertex; influence < INFLUENCES * (vertex + 1); influence++) {
        const jointWeight = jointWeights[influence];
        if (jointWeight === 0) continue;
        const m = matrices[joints[influence]];
        toX += jointWeight * (m[0] * x + m[4] * y + m[8] * z + m[12]);
        toY += jointWeight * (m[1] * x + m[5] * y + m[9] * z + m[13]);
        toZ += jointWeight * (m[2] * x + m[6] * y + m[10] * z + m[14]);
      }
      posed[at] = toX;
      posed[at + 1] = toY;
      posed[at + 2] = toZ;
    }
  }

  // Face normals weighted by area; `fillCorners` normalizes them.
  computeNormals() {
    const { posed, normals, faces } = this;
    normals.fill(0);
    for (let face = 0; face < faces.length; face += 3) {
      const a = 3 * faces[face], b = 3 * faces[face + 1], c = 3 * faces[face + 2];
      const ux = posed[b] - posed[a], uy = posed[b + 1] - posed[a + 1], uz = posed[b + 2] - posed[a + 2];
      const vx = posed[c] - posed[a], vy = posed[c + 1] - posed[a + 1], vz = posed[c + 2] - posed[a + 2];
      const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
      for (const at of [a, b, c]) {
        normals[at] += nx;
        normals[at + 1] += ny;
        normals[at + 2] += nz;
      }
    }
  }

  fillCorners() {
    const { posed, normals, source, corners } = this;
    for (let corner = 0; corner < source.length; corner++) {
      const from = 3 * source[corner], to = STRIDE * corner;
      const x = normals[from], y = normals[from + 1], z = normals[from + 2];
      const scale = 1 / Math.max(Math.sqrt(x * x + y * y + z * z), 1e-20);
      corners[to] = posed[from];
      corners[to + 1] = posed[from + 1];
      corners[to + 2] = posed[from + 2];
      corners[to + 3] = x * scale;
      corners[to + 4] = y * scale;
      corners[to + 5] = z * scale;
    }
  }
}
