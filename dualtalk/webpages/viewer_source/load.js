// Unpacks the page's data, arrays, glTF file and sound.

const bytesOf = id => Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));

async function unzipped(id) {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const ARRAY_TYPES = { float32: Float32Array, uint32: Uint32Array, int16: Int16Array };

export async function load() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [packed, glb] = await Promise.all([unzipped("arrays"), unzipped("glb")]);
  const arrays = {};
  let offset = 0;
  for (const [name, kind, size] of data.arrays) {
    arrays[name] = new ARRAY_TYPES[kind](packed, offset, size);
    offset += arrays[name].byteLength;
  }
  data.curves.forEach((curve, number) => {
    const [a, b] = [0, 1].map(person => (2 * number + person) * data.frames);
    curve.a = Float32Array.from(arrays.curves.subarray(a, a + data.frames));
    curve.b = Float32Array.from(arrays.curves.subarray(b, b + data.frames));
  });
  return { data, arrays, glb, sound: data.sound ? bytesOf("sound") : null };
}
