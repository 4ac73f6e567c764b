// Paints the items of a scene.

import { limitsOf } from "./pixels.js";
import { NAMED, placeOf } from "./layout.js";
import { paintEvidence, paintGrey } from "./evidence.js";

const MOST_ROUNDED = 200; // tiles that have round corners
const MAP_PIXELS = 320; // of an enlarged map's longer side, before the browser enlarges it

function paintPicture(context, item, density) {
  const { pixelated, grey } = item.spec;
  if (!item.picture) return;
  // The pixels of a digit are to be seen; those of a photo are not.
  context.imageSmoothingEnabled = !pixelated || item.place.at[2] * density < item.picture.width;
  context.imageSmoothingQuality = "high";
  if (grey) paintGrey(context, item.picture, item.place.at);
  else context.drawImage(item.picture, ...item.place.at);
}

// The map of the class; while another one fades in, of both.
function paintMap(context, item, density, fade) {
  const { chosen, opacity } = item.viewer;
  const { at } = item.place;
  const scale = Math.min(density, MAP_PIXELS / Math.max(at[2], at[3]));
  const size = [at[3], at[2]].map((length) => Math.max(1, Math.round(length * scale)));
  for (const [which, weight] of [
    [fade?.from, 1 - fade?.share],
    [chosen, fade?.share ?? 1],
  ]) {
    if (which !== undefined) paintEvidence(context, item.drawn(which, size), at, weight * (opacity ?? 1));
  }
}

function paintArrow(context, item) {
  const [left, top, width, height] = item.place.at;
  const [x, y, angle] = [left + width, top + height, Math.atan2(height, width)];
  const barb = (turn) => [x - 5 * Math.cos(angle + turn), y - 5 * Math.sin(angle + turn)];
  context.strokeStyle = item.viewer.colour("--quiet");
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [from, to] of [
    [
      [left, top],
      [x, y],
    ],
    [barb(0.7), [x, y]],
    [barb(-0.7), [x, y]],
  ]) {
    context.moveTo(...from);
    context.lineTo(...to);
  }
  context.stroke();
}

function paintBox(context, item) {
  for (const [colour, width] of [
    ["#fff", 5],
    [item.viewer.colour("--accent"), 2.5],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(...item.place.at);
  }
}

function paintTiles(context, item, density) {
  const { place } = item;
  const { canvas, columns, width, height } = item.atlas();
  const [across, down] = place.tile;
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
    if (edged) context.strokeRect(left + 0.5, top + 0.5, across - 1, down - 1);
    if (radius) context.restore();
    if (place.strip) context.fillText(item.spec.names[tile], left, top - 2, across + place.gap - 2);
  }
}

export const PAINTERS = { Picture: paintPicture, ClassMap: paintMap, Arrow: paintArrow, Box: paintBox, Tiles: paintTiles };
