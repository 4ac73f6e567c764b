// Paints the tiles of a scene.

import { limitsOf } from "./pixels.js";
import { NAMED, placeOf } from "./layout.js";

const MOST_ROUNDED = 200; // tiles that have round corners

export function paintTiles(context, item, density) {
  const { place } = item;
  const { canvas, columns, width, height } = item.atlas();
  const [across, down] = place.tile;
  const { wiped } = item;
  const radius = across >= NAMED && place.shown < MOST_ROUNDED ? Math.min(4, across / 24) : 0;
  context.imageSmoothingEnabled = across * density < width || down * density < height;
  context.imageSmoothingQuality = "medium";
  context.strokeStyle = item.viewer.colour("--rule");
  context.fillStyle = item.viewer.colour("--quiet");
  context.font = `14px ${getComputedStyle(item.element).fontFamily}`;
  context.textBaseline = "bottom";
  // Where zero has the page's colour a tile needs an edge.
  const edged = limitsOf(item, 0)[0] < 0;
  for (let tile = 0; tile < place.shown; tile++) {
    const [left, top] = placeOf(place, tile);
    if (radius) {
      context.save();
      context.beginPath();
      context.roundRect(left, top, across, down, radius);
      context.clip();
    }
    const from = [(tile % columns) * width, Math.floor(tile / columns) * height];
    context.drawImage(canvas, ...from, width, height, left, top, across, down);
    if (wiped) paintWiped(context, wiped, [...from, width, height], [left, top, across, down]);
    if (edged) context.strokeRect(left + 0.5, top + 0.5, across - 1, down - 1);
    if (radius) context.restore();
    if (place.strip) context.fillText(item.spec.names[tile], left, top - 2, across + place.gap - 2);
  }
}

// Paints the left part of a tile as it was before, and the edge of that part.
function paintWiped(context, { canvas, share }, [x, y, width, height], [left, top, across, down]) {
  context.drawImage(canvas, x, y, width * share, height, left, top, across * share, down);
  if (share === 1) return;
  context.save();
  context.fillStyle = "#fff";
  context.globalCompositeOperation = "difference";
  context.fillRect(left + across * share - 0.5, top, 1, down);
  context.restore();
}
