// Where a photo is in its picture, and in it the part that the network saw.

const union = ([left, top, width, height]) => {
  const [x, y] = [Math.min(0, left), Math.min(0, top)];
  return [x, y, Math.max(1, left + width) - x, Math.max(1, top + height) - y];
};

// Places in a picture of at most (width, height) pixels, which has the photo and borders that the
// network saw around it; or, `cropped`, only what the network saw.
export function frame({ size: [rows, columns] }, seen, [width, height], cropped = false) {
  const shown = cropped ? seen : union(seen);
  const scale = Math.min(width / (shown[2] * columns), height / (shown[3] * rows));
  const place = ([left, top, across, down]) => [
    (left - shown[0]) * columns * scale,
    (top - shown[1]) * rows * scale,
    across * columns * scale,
    down * rows * scale,
  ];
  const size = [Math.round(shown[2] * columns * scale), Math.round(shown[3] * rows * scale)];
  return { size, photo: place([0, 0, 1, 1]), seen: place(seen), place, cropped };
}

// A place in what the network saw, in shares of the photo; it ends at the edges.
export function within(seen, [left, top, width, height]) {
  const [x, y] = [Math.max(0, left), Math.max(0, top)];
  const [right, bottom] = [Math.min(1, left + width), Math.min(1, top + height)];
  return [seen[0] + x * seen[2], seen[1] + y * seen[3], (right - x) * seen[2], (bottom - y) * seen[3]];
}

// Covers what the network did not see.
export function paintVeil(context, { size, seen }, ground, strength = 0.65) {
  context.save();
  context.globalAlpha = strength;
  context.fillStyle = ground;
  context.beginPath();
  context.rect(0, 0, ...size);
  context.rect(...seen);
  context.fill("evenodd");
  context.restore();
}

// The pixels of a digit are to be seen; those of a photo are not.
export function paintPhoto(context, picture, { size, photo }, pixelated, density, paint) {
  context.fillStyle = "#000";
  context.fillRect(0, 0, ...size);
  if (!picture) return;
  context.imageSmoothingEnabled = !pixelated || photo[2] * density < picture.width;
  context.imageSmoothingQuality = "high";
  paint(picture, photo);
}
