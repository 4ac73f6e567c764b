// Where the tiles of a grid are.

import { bounded } from "./pixels.js";

const LARGEST_TILE = 168; // pixels
const SMALLEST_TILE = 24; // smaller ones appear when a person zooms out
const TALLEST = 620; // pixels of a grid before it is cut off, or its tiles get smaller
const LOWEST = 320; // the same in a low window
const AROUND = 300; // pixels of a window above and below a grid
const MOST_UNCUT = 300; // tiles that are always all shown
const NAME_SPACE = 18;
export const NAMED = 44; // the smallest tile that has its name above it

const tallest = () => bounded(innerHeight - AROUND, LOWEST, TALLEST);
const gapOf = (edge) => (edge >= 60 ? 10 : edge >= 30 ? 4 : 2);

// How many tiles in a row, so that all fit into the height, with few empty places at the end.
function bestColumns(count, width, aspect, named) {
  const edge = (columns) => (width - gapOf(width / columns) * (columns - 1)) / columns;
  const height = (columns) => {
    const side = edge(columns);
    const space = named && side >= NAMED ? NAME_SPACE : 0;
    return Math.ceil(count / columns) * (side * aspect + space + gapOf(side));
  };
  const fewest = Math.max(1, Math.ceil(width / (LARGEST_TILE + 10)));
  const most = Math.max(fewest, Math.floor((width + 2) / (SMALLEST_TILE + 2)));
  let columns = fewest;
  while (columns < most && height(columns) > tallest()) columns++;
  let best = columns;
  for (let more = columns; more <= Math.min(most, count, Math.ceil(1.25 * columns)); more++) {
    // Not at the price of the names.
    if (edge(columns) >= NAMED && edge(more) < NAMED) break;
    if ((more - (count % more)) % more < (best - (count % best)) % best) best = more;
  }
  return best;
}

// Where the tiles of a grid are that fills its region, by itself or in so many columns.
export function flow(item, width, wanted, all) {
  const [count, h, w] = item.values.shape;
  const named = item.spec.names.length > 0;
  const columns = wanted ?? bestColumns(count, width, h / w, named);
  const gap = gapOf(width / columns);
  const edge = Math.min((width - gap * (columns - 1)) / columns, wanted === null ? LARGEST_TILE : width);
  const strip = named && edge >= NAMED ? NAME_SPACE : 0;
  const pitch = (edge * h) / w + strip + gap;
  const fit = Math.max(1, Math.floor(tallest() / pitch)) * columns;
  const shown = all || count <= MOST_UNCUT ? count : Math.min(count, fit);
  const rows = Math.ceil(shown / columns);
  const at = [0, 0, columns * (edge + gap) - gap, rows * pitch - gap];
  return { at, columns, rows, shown, gap, strip, tile: [edge, (edge * h) / w] };
}

// Where the tiles are of an item with a place and a number of columns of its own.
export function placed(item, at, narrow, scale) {
  const shown = item.values.shape[0];
  const columns = (narrow && item.spec.narrow_columns) || item.spec.columns;
  const rows = Math.ceil(shown / columns);
  const gap = item.spec.gap * scale;
  const tile = [(at[2] - gap * (columns - 1)) / columns, (at[3] - gap * (rows - 1)) / rows];
  return { at, columns, rows, shown, gap, strip: 0, tile };
}

// The place of a tile in its region.
export function placeOf({ at, columns, gap, strip, tile }, index) {
  const [column, row] = [index % columns, Math.floor(index / columns)];
  return [at[0] + column * (tile[0] + gap), at[1] + row * (tile[1] + gap + strip) + strip, ...tile];
}

// The tile at a point of the region, its name and half of the gap included; -1 outside.
export function tileAt({ at, columns, rows, shown, gap, strip, tile }, x, y) {
  const column = Math.floor((x - at[0] + gap / 2) / (tile[0] + gap));
  const row = Math.floor((y - at[1] + gap / 2) / (tile[1] + gap + strip));
  const index = row * columns + column;
  return column >= 0 && column < columns && row >= 0 && row < rows && index < shown ? index : -1;
}
