// Where the columns of the wall are: each stage has one, all of the same height.

const [LEAST_GAP, LEAST_GAP_PRESENTED] = [16, 12]; // pixels between two columns
const MOST_GAP = 44; // before the terms get wider instead
const UNITS_WIDTH = 63; // pixels of a column of many units
const MOST_UNIT_COLUMNS = 6;
const LARGEST_NARROW = 1 / 3; // of the width, a tile in a narrow window

const gapOf = (rows) => (rows <= 4 ? 5 : rows <= 6 ? 4 : rows <= 9 ? 3 : 2.5);
const radiusOf = (edge) => (edge >= 60 ? 4 : edge >= 30 ? 2.5 : 1);

// How many rows and columns: of maps as they say, of units so that they are not too wide.
function grid({ rows, count, units, ...given }, form) {
  if (!units) return form === "present" ? given.presented : given.grid;
  const down = Math.max(1, Math.min(rows, count));
  const columns = Math.ceil(count / down);
  if (columns <= MOST_UNIT_COLUMNS) return [down, columns];
  const wide = Math.ceil(Math.sqrt((count * UNITS_WIDTH) / 374));
  return [Math.ceil(count / wide), wide];
}

function unitTile(columns, rows, height) {
  const gap = rows > 60 ? 0 : 2;
  const width = columns <= MOST_UNIT_COLUMNS ? 14.25 : (UNITS_WIDTH - gap * (columns - 1)) / columns;
  return { gap, tile: [width, (height - gap * (rows - 1)) / rows] };
}

function mapTile({ aspect }, rows, height, scale) {
  const gap = gapOf(rows) * scale;
  const down = (height - gap * (rows - 1)) / rows;
  return { gap, tile: [down / aspect, down] };
}

function column(part, height, scale, form) {
  const [rows, columns] = grid(part, form);
  const { gap, tile } = part.units ? unitTile(columns, rows, height) : mapTile(part, rows, height, scale);
  const width = columns * (tile[0] + gap) - gap;
  const shown = Math.min(part.count, rows * columns);
  return { width, rows, columns, gap, tile, shown, strip: 0, radius: radiusOf(Math.min(...tile)) };
}

const total = (columns) => columns.reduce((sum, one) => sum + one.width, 0);

// Columns side by side in a width. `parts` have count and units, and aspect (height by width of a
// map), grid and presented, or rows of units; `last` is the width of what follows them, 0 for
// nothing. Tiles shrink together where they would not fit.
export function sideBySide(parts, width, height, form, last = 0) {
  const gaps = parts.length - (last ? 0 : 1);
  const free = width - last - gaps * (form === "present" ? LEAST_GAP_PRESENTED : LEAST_GAP);
  const columns = (down, scale) => parts.map((part) => column(part, down, scale, form));
  const scale = Math.min(1, free / total(columns(height, 1)));
  const made = columns(height * scale, scale);
  const rest = width - last - total(made);
  const gap = last ? Math.min(rest / gaps, MOST_GAP) : rest / Math.max(1, gaps);
  let left = 0;
  for (const one of made) {
    one.at = [left, 0, one.width, height * scale];
    left += one.width + gap;
  }
  return { places: made, gap, height: height * scale, last: [left, 0, width - left, height * scale] };
}

// Stages below one another, the wall turned by 90°, with `head` pixels above each for its name.
export function belowOneAnother(parts, width, head, space) {
  let top = 0;
  const places = parts.map((part) => {
    const [across, down] = grid(part, "narrow");
    const gap = part.units ? 2 : Math.min(5, gapOf(across));
    const edge = Math.min((width - gap * (across - 1)) / across, width * LARGEST_NARROW);
    const tile = [edge, part.units ? Math.min(edge, 14) : edge * part.aspect];
    const shown = Math.min(part.count, across * down);
    const rows = Math.ceil(shown / across);
    const at = [0, top + head, across * (edge + gap) - gap, rows * (tile[1] + gap) - gap];
    const place = { at, rows, columns: across, gap, tile, shown, strip: 0, radius: radiusOf(edge), name: top };
    top += head + at[3] + space;
    return { ...place, down };
  });
  return { places, height: top };
}
