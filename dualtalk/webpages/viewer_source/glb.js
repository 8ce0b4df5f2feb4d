// Reads binary glTF 2.0 files of dualtalk's exporter: one buffer; sparse accessors stay sparse, because most blendshapes
// move few vertices. Source: Khronos Group, glTF 2.0 specification, sections 3.6 and 4.

const TYPES = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const WIDTHS = { SCALAR: 1, VEC3: 3, VEC4: 4, MAT4: 16 };
const HEADER_BYTES = 12, CHUNK_BYTES = 8;

export class Glb {
  constructor(buffer) {
    const numbers = new DataView(buffer);
    const textBytes = numbers.getUint32(HEADER_BYTES, true);
    const text = new Uint8Array(buffer, HEADER_BYTES + CHUNK_BYTES, textBytes);
    this.document = JSON.parse(new TextDecoder().decode(text));
    this.buffer = buffer;
    this.start = HEADER_BYTES + CHUNK_BYTES + textBytes + CHUNK_BYTES;
  }

  view(index, componentType, length, offset = 0) {
    const byteStart = this.start + (this.document.bufferViews[index].byteOffset ?? 0) + offset;
    return new TYPES[componentType](this.buffer, byteStart, length);
  }

  values(index) {
    const { bufferView, componentType, count, type, byteOffset } = this.document.accessors[index];
    return this.view(bufferView, componentType, count * WIDTHS[type], byteOffset);
  }

  // The corners that a displacement offsets, and three numbers for each corner.
  displacement(index) {
    const { count, componentType, sparse } = this.document.accessors[index];
    if (!sparse) return { corners: Uint32Array.from({ length: count }, (_, corner) => corner), offsets: this.values(index) };
    return {
      corners: this.view(sparse.indices.bufferView, sparse.indices.componentType, sparse.count),
      offsets: this.view(sparse.values.bufferView, componentType, 3 * sparse.count),
    };
  }
}
