// Values as colours: tables, and pictures of a pixel for each value.

// A canvas of that size, and its pixels as numbers of 32 bits.
export function pixelCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, width), Math.max(1, height)];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  return { canvas, pixels: new Uint32Array(image.data.buffer), done: () => context.putImageData(image, 0, 0) };
}

const LARGEST_CANVAS = 8e6; // pixels; Safari stops at 16.7 million

// A canvas's context for that many CSS pixels, empty, and how many pixels of the screen each has.
export function surface(canvas, width, height) {
  const density = Math.min(devicePixelRatio || 1, Math.sqrt(LARGEST_CANVAS / (width * height + 1)));
  const size = [Math.max(1, Math.round(width * density)), Math.max(1, Math.round(height * density))];
  [canvas.width, canvas.height] = size;
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = canvas.getContext("2d");
  context.scale(density, density);
  return { context, density };
}

const OPAQUE = 0xff000000;
export const packRgb = (red, green, blue) => (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;

// A table of 256 colours (256, 3) as pixels.
export function pixelTable({ values }) {
  return Uint32Array.from({ length: 256 }, (_, at) => packRgb(...values.subarray(3 * at, 3 * at + 3)));
}

export const bounded = (value, low, high) => Math.min(high, Math.max(low, value));

// All tiles side by side, a pixel for a cell; what is not a number is transparent.
export function atlasOf(item, table) {
  const [count, height, width, channels = 1] = item.values.shape;
  const values = item.values.values;
  const columns = Math.ceil(Math.sqrt((count * height) / width));
  const { canvas, pixels, done } = pixelCanvas(columns * width, Math.ceil(count / columns) * height);
  for (let tile = 0; tile < count; tile++) {
    const [low, high] = limitsOf(item, tile);
    const scale = 255 / (high - low);
    const corner = Math.floor(tile / columns) * height * canvas.width + (tile % columns) * width;
    let from = tile * height * width * channels;
    for (let row = 0; row < height; row++) {
      const start = corner + row * canvas.width;
      for (let column = 0; column < width; column++, from += channels) {
        const value = values[from];
        if (channels === 3) {
          const rgb = [0, 1, 2].map((at) => bounded((values[from + at] - low) * scale, 0, 255));
          if (!rgb.some(Number.isNaN)) pixels[start + column] = packRgb(...rgb);
        } else if (!Number.isNaN(value)) {
          pixels[start + column] = table[bounded(Math.round((value - low) * scale), 0, 255)];
        }
      }
    }
  }
  done();
  return { canvas, columns, width, height };
}

export function limitsOf(item, tile) {
  return Array.isArray(item.limits) ? item.limits : item.limits.values.subarray(2 * tile, 2 * tile + 2);
}
