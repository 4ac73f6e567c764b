// Class maps over a photo: their colours, their lines, and how they are enlarged.

import { bounded, pixelCanvas } from "./pixels.js";

const CONTOUR_CELLS = 96;

// Weights of Catmull-Rom interpolation between the centres of cells, which passes through their
// values: for each of `size` places four cells and four weights. Cells at the edge are repeated.
function interpolation(cells, size) {
  return Array.from({ length: size }, (_, place) => {
    const position = ((place + 0.5) * cells) / size - 0.5;
    const first = Math.floor(position);
    const t = position - first;
    const weights = [
      ((2 - t) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((4 - 3 * t) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    return weights.map((weight, at) => [bounded(first - 1 + at, 0, cells - 1), weight]);
  });
}

// A map (h, w), enlarged to (height, width).
function enlarged(values, h, w, height, width) {
  const across = interpolation(w, width);
  const rows = new Float32Array(h * width);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < width; column++) {
      for (const [cell, weight] of across[column]) rows[row * width + column] += values[row * w + cell] * weight;
    }
  }
  const result = new Float32Array(height * width);
  interpolation(h, height).forEach((down, row) => {
    for (const [cell, weight] of down) {
      for (let column = 0; column < width; column++) {
        result[row * width + column] += rows[cell * width + column] * weight;
      }
    }
  });
  return result;
}

// The lines of one value in a grid of values (marching squares), in cells of that grid.
function contour(values, height, width, level) {
  const path = new Path2D();
  for (let row = 0; row + 1 < height; row++) {
    for (let column = 0; column + 1 < width; column++) {
      const at = row * width + column;
      const corners = [values[at], values[at + 1], values[at + width + 1], values[at + width]];
      const above = corners.filter((value) => value >= level).length;
      if (above % 4 === 0) continue;
      const places = [
        [column, row],
        [column + 1, row],
        [column + 1, row + 1],
        [column, row + 1],
      ];
      const crossings = [];
      for (let side = 0; side < 4; side++) {
        const [a, b] = [corners[side], corners[(side + 1) % 4]];
        if (a < level === b < level) continue;
        const share = (level - a) / (b - a);
        const [from, to] = [places[side], places[(side + 1) % 4]];
        crossings.push([from[0] + share * (to[0] - from[0]) + 0.5, from[1] + share * (to[1] - from[1]) + 0.5]);
      }
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        path.moveTo(...crossings[pair]);
        path.lineTo(...crossings[pair + 1]);
      }
    }
  }
  return path;
}

// The evidence of one class, (h, w), as a picture: zero is transparent, so that a map has no edge.
// It has the size (height, width), and lines at `contours`, shares of the limit.
export function evidence({ values, h, w, limit, table, size: [height, width], contours = [] }) {
  const drawn = enlarged(values, h, w, height, width);
  const { canvas, pixels, done } = pixelCanvas(width, height);
  const [against, forIt] = [table[0], table[255]].map((colour) => colour & 0xffffff);
  for (let at = 0; at < pixels.length; at++) {
    const alpha = 255 * Math.min(1, Math.abs(drawn[at]) / limit) ** 0.85;
    pixels[at] = ((drawn[at] < 0 ? against : forIt) | (Math.round(alpha || 0) << 24)) >>> 0;
  }
  done();
  const coarse = contours.length ? enlarged(values, h, w, CONTOUR_CELLS, CONTOUR_CELLS) : [];
  const levels = coarse.length ? contours.flatMap((share) => [share, -share]) : [];
  const lines = levels.map((share) => ({
    path: contour(coarse, CONTOUR_CELLS, CONTOUR_CELLS, share * limit),
    alpha: 0.4 + 0.8 * Math.abs(share),
  }));
  return { canvas, lines };
}

// Paints what `evidence` made, twice: its colour in the photo's light, then more of it where there
// is more evidence. `strength`, 0 to 1, is how solid it is.
export function paintEvidence(context, { canvas, lines }, [left, top, width, height], strength) {
  context.save();
  context.imageSmoothingEnabled = true;
  for (const [mode, alpha] of [
    ["color", 1],
    ["source-over", 0.55],
  ]) {
    context.globalCompositeOperation = mode;
    context.globalAlpha = alpha * strength;
    context.drawImage(canvas, left, top, width, height);
  }
  context.translate(left, top);
  context.scale(width / CONTOUR_CELLS, height / CONTOUR_CELLS);
  context.strokeStyle = "#fff";
  context.lineWidth = (1.2 * CONTOUR_CELLS) / width;
  for (const { path, alpha } of lines) {
    context.globalAlpha = alpha * strength;
    context.stroke(path);
  }
  context.restore();
}

// Paints a photo without its colours, so that colour means evidence alone.
export function paintGrey(context, picture, place) {
  context.fillStyle = "#808080";
  context.fillRect(...place);
  context.globalCompositeOperation = "luminosity";
  context.drawImage(picture, ...place);
  context.globalCompositeOperation = "source-over";
}
