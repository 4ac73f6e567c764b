// The buffers in which scenes come from the server; scenes.py writes them.

export function same(one, other) {
  if (one?.length !== other.length) return false;
  const [a, b] = [one, other].map((data) => new Uint32Array(data.buffer, data.byteOffset, data.length >> 2));
  return a.every((value, index) => value === b[index]);
}

// The header, with typed arrays in place of their numbers.
export function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const scene = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let offset = bytes.byteOffset + 4 + length;
  const types = { uint8: Uint8Array, float16: Uint16Array, float32: Float32Array };
  scene.arrays = scene.arrays.map(({ dtype, shape, scale }) => {
    const size = shape.reduce((product, side) => product * side, 1);
    const raw = new types[dtype](bytes.buffer, offset, size);
    offset += 4 * Math.ceil(raw.byteLength / 4);
    return { values: dtype === "float16" ? decoded(raw, scale) : raw, shape };
  });
  return scene;
}

let halves;

// Numbers of 16 bits (IEEE 754), times a scale.
function decoded(bits, scale) {
  halves ??= Float32Array.from({ length: 65536 }, (_, code) => {
    const [sign, exponent, share] = [code >> 15 ? -1 : 1, (code >> 10) & 31, code & 1023];
    if (exponent === 31) return share ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + share / 1024) : 2 ** -24 * share);
  });
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) values[index] = halves[bits[index]] * scale;
  return values;
}
