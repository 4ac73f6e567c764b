// Draws a scene of photos, tiles, class maps, arrows and boxes on canvases, and reports clicks.
// What the pointer does (values, outlines, zoom, class, opacity) is answered here, without the
// server. viewer.py says what is in a scene, and packs it.

const NARROW = 560; // pixels of a viewer below which the narrow layout is used
const LARGEST_TILE = 168; // pixels
const SMALLEST_TILE = 24; // smaller ones appear when a person zooms out
const TALLEST = 620; // pixels of a grid before it is cut off, or its tiles get smaller
const MOST_UNCUT = 300; // tiles that are always all shown
const MOST_ROUNDED = 200; // tiles that have round corners
const NAMED = 44; // the smallest tile that has its name above it
const NAME_SPACE = 18;
const LARGEST_CANVAS = 8e6; // pixels; Safari stops at 16.7 million
const ZOOM = 4 / 3;
const TINY = 10; // pixels of the tiles at which zooming out ends
const FADE = 120; // milliseconds
const MAP_PIXELS = 320; // of an enlarged map's longer side, before the browser enlarges it
const CONTOUR_CELLS = 96;

// The viewers of this page by key, and the selections that the server has made in them.
const viewers = new Map();
const selections = new Map();
let spoken = 0;

export default function render({ data, parentElement, setTriggerValue }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  const former = parentElement.viewer?.packed;
  const scene = same(former, packed) ? parentElement.viewer.scene : unpack(packed);
  if (scene.kind === "selection") {
    selections.set(scene.of, scene);
    viewers.get(scene.of)?.applySelection();
    return undefined;
  }
  parentElement.viewer ??= new Viewer(parentElement);
  const viewer = parentElement.viewer;
  viewer.packed = packed;
  viewer.show(scene, (event) => setTriggerValue("event", event));
  return () => viewer.close();
}

// --- Data ---------------------------------------------------------------------------------------

function same(one, other) {
  if (one?.length !== other.length) return false;
  const [a, b] = [one, other].map((data) => new Uint32Array(data.buffer, data.byteOffset, data.length >> 2));
  return a.every((value, index) => value === b[index]);
}

// The header, with typed arrays in place of their numbers.
function unpack(bytes) {
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

// --- Colours ------------------------------------------------------------------------------------

// A canvas of that size, and its pixels as numbers of 32 bits.
function pixelCanvas(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, width), Math.max(1, height)];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  return { canvas, pixels: new Uint32Array(image.data.buffer), done: () => context.putImageData(image, 0, 0) };
}

const OPAQUE = 0xff000000;
const packRgb = (red, green, blue) => (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;

// A table of 256 colours (256, 3) as pixels.
function pixelTable({ values }) {
  return Uint32Array.from({ length: 256 }, (_, at) => packRgb(...values.subarray(3 * at, 3 * at + 3)));
}

const bounded = (value, low, high) => Math.min(high, Math.max(low, value));

// All tiles side by side, a pixel for a cell; what is not a number is transparent.
function atlasOf(item, table) {
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
          pixels[start + column] = packRgb(...rgb);
        } else if (!Number.isNaN(value)) {
          pixels[start + column] = table[bounded(Math.round((value - low) * scale), 0, 255)];
        }
      }
    }
  }
  done();
  return { canvas, columns, width, height };
}

function limitsOf(item, tile) {
  return Array.isArray(item.limits) ? item.limits : item.limits.values.subarray(2 * tile, 2 * tile + 2);
}

// --- Class maps ---------------------------------------------------------------------------------

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

// The evidence of one class as a picture: zero is transparent, so that a map has no edge.
function evidence(item, which, size, table) {
  const [, h, w] = item.values.shape;
  const values = item.values.values.subarray(which * h * w, (which + 1) * h * w);
  const [height, width] = item.spec.smooth ? size : [h, w];
  const drawn = item.spec.smooth ? enlarged(values, h, w, height, width) : values;
  const { canvas, pixels, done } = pixelCanvas(width, height);
  const [against, forIt] = [table[0], table[255]].map((colour) => colour & 0xffffff);
  for (let at = 0; at < pixels.length; at++) {
    const alpha = 255 * Math.min(1, Math.abs(drawn[at]) / item.spec.limit) ** 0.85;
    pixels[at] = ((drawn[at] < 0 ? against : forIt) | (Math.round(alpha || 0) << 24)) >>> 0;
  }
  done();
  const coarse =
    item.spec.smooth && item.spec.contours.length ? enlarged(values, h, w, CONTOUR_CELLS, CONTOUR_CELLS) : [];
  const levels = coarse.length ? item.spec.contours.flatMap((share) => [share, -share]) : [];
  const lines = levels.map((share) => contour(coarse, CONTOUR_CELLS, CONTOUR_CELLS, share * item.spec.limit));
  return { canvas, lines };
}

// --- Layout -------------------------------------------------------------------------------------

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
  while (columns < most && height(columns) > TALLEST) columns++;
  let best = columns;
  for (let more = columns; more <= Math.min(most, count, Math.ceil(1.25 * columns)); more++) {
    // Not at the price of the names.
    if (edge(columns) >= NAMED && edge(more) < NAMED) break;
    if ((more - (count % more)) % more < (best - (count % best)) % best) best = more;
  }
  return best;
}

// Where the tiles of a grid are that fills its region, by itself or in so many columns.
function flow(item, width, wanted, all) {
  const [count, h, w] = item.values.shape;
  const named = item.spec.names.length > 0;
  const columns = wanted ?? bestColumns(count, width, h / w, named);
  const gap = gapOf(width / columns);
  const edge = Math.min((width - gap * (columns - 1)) / columns, wanted === null ? LARGEST_TILE : width);
  const strip = named && edge >= NAMED ? NAME_SPACE : 0;
  const pitch = (edge * h) / w + strip + gap;
  const fit = Math.max(1, Math.floor(TALLEST / pitch)) * columns;
  const shown = all || count <= MOST_UNCUT ? count : Math.min(count, fit);
  const rows = Math.ceil(shown / columns);
  const at = [0, 0, columns * (edge + gap) - gap, rows * pitch - gap];
  return { at, columns, rows, shown, gap, strip, tile: [edge, (edge * h) / w] };
}

// Where the tiles are of an item with a place and a number of columns of its own.
function placed(item, at, narrow, scale) {
  const shown = item.values.shape[0];
  const columns = (narrow && item.spec.narrow_columns) || item.spec.columns;
  const rows = Math.ceil(shown / columns);
  const gap = item.spec.gap * scale;
  const tile = [(at[2] - gap * (columns - 1)) / columns, (at[3] - gap * (rows - 1)) / rows];
  return { at, columns, rows, shown, gap, strip: 0, tile };
}

// The place of a tile in its region.
function placeOf({ at, columns, gap, strip, tile }, index) {
  const [column, row] = [index % columns, Math.floor(index / columns)];
  return [at[0] + column * (tile[0] + gap), at[1] + row * (tile[1] + gap + strip) + strip, ...tile];
}

// The tile at a point of the region, its name and half of the gap included; -1 outside.
function tileAt({ at, columns, rows, shown, gap, strip, tile }, x, y) {
  const column = Math.floor((x - at[0] + gap / 2) / (tile[0] + gap));
  const row = Math.floor((y - at[1] + gap / 2) / (tile[1] + gap + strip));
  const index = row * columns + column;
  return column >= 0 && column < columns && row >= 0 && row < rows && index < shown ? index : -1;
}

// --- Painting -----------------------------------------------------------------------------------

function paintPicture(context, item, density) {
  const { pixelated, grey } = item.spec;
  if (!item.picture) return;
  // The pixels of a digit are to be seen; those of a photo are not.
  context.imageSmoothingEnabled = !pixelated || item.place.at[2] * density < item.picture.width;
  context.imageSmoothingQuality = "high";
  if (grey) {
    context.fillStyle = "#808080";
    context.fillRect(...item.place.at);
    context.globalCompositeOperation = "luminosity";
  }
  context.drawImage(item.picture, ...item.place.at);
}

// Each class twice: its colour in the photo's light, then more of it where there is more evidence.
function paintMap(context, item, density, fade) {
  const { chosen, opacity } = item.viewer;
  const [left, top, width, height] = item.place.at;
  const scale = Math.min(density, MAP_PIXELS / Math.max(width, height));
  const size = [height, width].map((length) => Math.max(1, Math.round(length * scale)));
  for (const [which, weight] of [
    [fade?.from, 1 - fade?.share],
    [chosen, fade?.share ?? 1],
  ]) {
    if (which === undefined) continue;
    const { canvas, lines } = item.drawn(which, size);
    const strength = weight * (opacity ?? 1);
    context.imageSmoothingEnabled = item.spec.smooth;
    for (const [mode, alpha] of [
      ["color", 1],
      ["source-over", 0.55],
    ]) {
      context.globalCompositeOperation = mode;
      context.globalAlpha = alpha * strength;
      context.drawImage(canvas, left, top, width, height);
    }
    context.save();
    context.globalAlpha = 0.85 * strength;
    context.translate(left, top);
    context.scale(width / CONTOUR_CELLS, height / CONTOUR_CELLS);
    context.strokeStyle = "#fff";
    context.lineWidth = (1.2 * CONTOUR_CELLS) / width;
    for (const line of lines) context.stroke(line);
    context.restore();
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

const PAINTERS = { Picture: paintPicture, ClassMap: paintMap, Arrow: paintArrow, Box: paintBox, Tiles: paintTiles };

// --- Elements -----------------------------------------------------------------------------------

function element(kind, className, parent, attributes = {}) {
  const made = document.createElement(kind);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value);
  }
  parent?.append(made);
  return made;
}

function button(className, parent, text, act, attributes = {}) {
  const made = element("button", className, parent, { type: "button", text, ...attributes });
  made.addEventListener("click", act);
  return made;
}

function put({ style }, [left, top, width, height]) {
  const lengths = { left, top, width, height };
  for (const [name, length] of Object.entries(lengths)) style[name] = `${length}px`;
}

function number(value) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  const short = size === 0 || (size >= 1e-3 && size < 1e5);
  return (short ? String(+value.toPrecision(3)) : value.toExponential(2)).replaceAll("-", "−");
}

class Viewer {
  constructor(root) {
    this.box = element("div", "viewer", root);
    this.bar = element("div", "bar", this.box);
    this.stage = element("div", "stage", this.box);
    this.more = button("more", this.box, "", () => this.layOut({ all: !this.all }));
    this.tip = element("div", "tip", this.box, { hidden: "", "aria-hidden": "true" });
    this.watch = new ResizeObserver(() => Math.round(this.box.clientWidth) !== this.width && this.layOut());
    this.box.addEventListener("keydown", ({ key, defaultPrevented }) => {
      if (this.scene.keys.includes(key) && !defaultPrevented) this.report({ key });
    });
  }

  close() {
    this.watch.disconnect();
    if (viewers.get(this.scene.key) === this) viewers.delete(this.scene.key);
  }

  // Draws a scene. The elements stay if it is made of the same parts; so do zoom, class and
  // opacity if it has the same name.
  show(scene, send) {
    const [former, dark] = [this.scene, this.isDark()];
    this.send = send;
    viewers.set(scene.key, this);
    this.watch.observe(this.box);
    if (scene === former && dark === this.dark) return;
    const other = scene.id !== former?.id;
    if (other) {
      Object.assign(this, { columns: null, all: false, chosen: scene.chosen, opacity: scene.opacity });
    }
    Object.assign(this, { scene, dark });
    this.tip.hidden = true;
    const parts = JSON.stringify(scene.regions.map(({ items }) => items.map(({ kind, name }) => [kind, name])));
    if (parts !== this.parts) {
      this.parts = parts;
      this.stage.replaceChildren();
      this.regions = scene.regions.map((region) => new Region(this, region));
      this.items = this.regions.flatMap((region) => region.items);
    }
    for (const [at, region] of this.regions.entries()) region.load(scene.regions[at]);
    if (other) for (const item of this.items) item.selected = -1;
    const { id, title, legend, classes } = scene;
    const shown = JSON.stringify([id, title, legend, classes, dark]);
    if (shown !== this.shown) this.buildBar();
    this.shown = shown;
    this.layOut();
    this.applySelection();
  }

  isDark() {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = this.colour("--ground");
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(probe.fillStyle.slice(at, at + 2), 16));
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }

  colour(name) {
    return getComputedStyle(this.box).getPropertyValue(name).trim();
  }

  array(reference) {
    return Array.isArray(reference) ? reference : this.scene.arrays[reference.array];
  }

  // A scale's colours for this theme, (256, 3).
  table(name) {
    return this.array(this.scene.tables[name][this.dark ? 1 : 0]);
  }

  buildBar() {
    const { title, legend, classes } = this.scene;
    this.bar.replaceChildren();
    if (title) element("div", "title", this.bar, { text: title });
    if (classes.length > 1) this.buildChips(classes);
    if (this.opacity !== null) {
      const label = element("label", "opacity", this.bar, { text: "Opacity" });
      const slider = element("input", "", label, { type: "range", max: 100, value: 100 * this.opacity });
      slider.addEventListener("input", () => {
        this.opacity = slider.value / 100;
        this.paint();
      });
    }
    if (legend) this.buildLegend(legend);
    if (this.regions.some(({ flows }) => flows)) {
      const zoom = element("div", "zoom", this.bar, { role: "group", "aria-label": "Size of the tiles" });
      button("", zoom, "−", () => this.zoomBy(1 / ZOOM), { title: "Smaller tiles", "aria-label": "Smaller tiles" });
      button("", zoom, "+", () => this.zoomBy(ZOOM), { title: "Larger tiles", "aria-label": "Larger tiles" });
    }
    this.bar.hidden = !this.bar.childElementCount;
  }

  buildChips(classes) {
    const chips = element("div", "chips", this.bar, { role: "group", "aria-label": "Class" });
    const mark = () => {
      for (const [at, chip] of [...chips.children].entries()) chip.setAttribute("aria-pressed", at === this.chosen);
    };
    for (const [index, name] of classes.entries()) {
      button("chip", chips, name, () => {
        this.choose(index);
        mark();
      });
    }
    mark();
  }

  buildLegend({ unit, colours, low, high, ticks: [first, last] }) {
    const label = `Colours: ${unit}, ${first} to ${last}`;
    const legend = element("div", "legend", this.bar, { role: "img", "aria-label": label });
    element("span", "", legend, { text: `${unit} ${first}` });
    const ramp = element("span", "ramp", legend);
    const { values } = this.table(colours);
    const stops = Array.from({ length: 18 }, (_, at) => `rgb(${values.subarray(45 * at, 45 * at + 3)})`);
    ramp.style.background = `linear-gradient(to right, ${stops})`;
    if (low < 0 && high > 0) element("span", "zero", ramp).style.left = `${(100 * -low) / (high - low)}%`;
    element("span", "", legend, { text: last });
  }

  // Larger tiles by a factor, in fewer columns.
  zoomBy(factor) {
    const { columns } = this.items.find(({ region }) => region.flows).place;
    const next = factor > 1 ? Math.floor(columns / factor) : Math.ceil(columns / factor);
    this.layOut({ columns: bounded(next, 1, Math.max(columns, Math.floor(this.width / TINY))) });
  }

  layOut(change = {}) {
    Object.assign(this, change);
    this.width = Math.round(this.box.clientWidth);
    if (!this.width) return;
    const narrow = this.width < NARROW;
    this.box.classList.toggle("narrow", narrow);
    const shares = this.regions.map((region) => `minmax(0, ${region.size(narrow)?.[0] ?? 1}fr)`);
    this.stage.style.gridTemplateColumns = narrow ? "100%" : shares.join(" ");
    for (const region of this.regions) region.layOut(narrow);
    const cut = this.items.find((item) => item.cut);
    this.more.hidden = !cut;
    const count = cut?.values.shape[0].toLocaleString("en");
    this.more.textContent = this.all ? "Show fewer" : `Show all ${count}`;
    this.paint();
  }

  paint(fade) {
    for (const region of this.regions) region.paint(fade);
  }

  // Another class: its map fades in, where a person has nothing against motion.
  choose(index) {
    const [from, start] = [this.chosen, performance.now()];
    this.chosen = index;
    const step = (now) => {
      const share = Math.max(0, (now - start) / FADE);
      if (share < 1 && this.chosen === index) requestAnimationFrame(step);
      this.paint(share < 1 ? { from, share } : undefined);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.paint();
    else step(start);
  }

  applySelection() {
    const selection = selections.get(this.scene.key);
    if (selection?.scene !== this.scene.id) return;
    const item = this.items.find(({ spec }) => spec.name === selection.item);
    if (!item) return;
    item.selected = selection.index;
    if (selection.index >= item.place?.shown) this.layOut({ all: true });
    else if (item.place) item.mark({ selected: selection.index });
  }

  report(event) {
    this.send({ scene: this.scene.id, ...event });
  }

  // The lines at the mouse; none for nothing.
  say(lines, x, y) {
    this.tip.hidden = !lines;
    if (!lines) return;
    this.tip.replaceChildren(...lines.map((text, at) => element(at ? "div" : "strong", "", null, { text })));
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const left = x + 16 + width > this.width ? x - 12 - width : x + 16;
    this.tip.style.left = `${bounded(left, 0, Math.max(0, this.width - width))}px`;
    this.tip.style.top = `${y + 20 + height > this.box.clientHeight ? y - 12 - height : y + 20}px`;
  }
}

// One canvas, and over it an element for each thing that is named or can be chosen.
class Region {
  constructor(viewer, spec) {
    this.viewer = viewer;
    this.box = element("div", "region", viewer.stage);
    this.canvas = element("canvas", "", this.box, { "aria-hidden": "true" });
    this.items = spec.items.map(({ kind }) => new (kind === "Tiles" ? Tiles : Item)(this));
    this.box.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.hover(event));
    this.box.addEventListener("pointerleave", () => this.hover(null));
  }

  load(spec) {
    this.spec = spec;
    this.flows = spec.size === null;
    for (const [at, item] of this.items.entries()) item.load(spec.items[at]);
  }

  size(narrow) {
    return (narrow && this.spec.narrow_size) || this.spec.size;
  }

  layOut(narrow) {
    const width = this.box.clientWidth;
    const { columns, all } = this.viewer;
    const [across, down] = this.size(narrow) ?? [width, 0];
    const scale = width / across;
    for (const item of this.items) {
      const { spec } = item;
      const at = ((narrow && spec.narrow) || spec.at)?.map((length) => length * scale);
      if (this.flows) {
        item.cut = flow(item, width, columns, false).shown < item.values.shape[0];
        item.put(flow(item, width, columns, all));
      } else item.put(spec.kind === "Tiles" ? placed(item, at, narrow, scale) : { at, scale });
    }
    this.extent = [width, this.flows ? this.items[0].place.at[3] : down * scale];
    this.box.style.height = `${this.extent[1]}px`;
  }

  // Draws everything; `fade` is the class from which another is on its way, and how far that is.
  paint(fade) {
    if (!this.extent) return;
    const [width, height] = this.extent;
    const density = Math.min(devicePixelRatio || 1, Math.sqrt(LARGEST_CANVAS / (width * height + 1)));
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const context = this.canvas.getContext("2d");
    context.scale(density, density);
    for (const item of this.items) {
      context.save();
      if (item.spec.radius) {
        context.beginPath();
        context.roundRect(...item.place.at, item.spec.radius * item.place.scale);
        context.clip();
      }
      PAINTERS[item.spec.kind](context, item, density, fade);
      context.restore();
    }
  }

  hover(event) {
    const [x, y] = event ? placeIn(this.box, event) : [-1e9, -1e9];
    const lines = this.items.map((item) => item.lines(x, y)).findLast(Boolean);
    this.viewer.say(lines, ...(event ? placeIn(this.viewer.box, event) : [0, 0]));
  }
}

// Where the pointer is in an element, in its own pixels: a page that is presented is enlarged.
function placeIn(box, { clientX, clientY }) {
  const { left, top, width } = box.getBoundingClientRect();
  const scale = width / box.offsetWidth || 1;
  return [(clientX - left) / scale, (clientY - top) / scale];
}

// A picture, a class map, an arrow or a box.
class Item {
  constructor(region) {
    this.region = region;
    this.viewer = region.viewer;
    this.element = element("div", "thing", region.box);
  }

  load(spec) {
    this.spec = spec;
    this.maps = new Map();
    if (spec.values) this.values = this.viewer.array(spec.values);
    if (spec.pixels) this.decode(this.viewer.array(spec.pixels));
    this.element.hidden = !spec.label;
    for (const [name, value] of [
      ["role", "img"],
      ["aria-label", spec.label],
    ])
      this.element.setAttribute(name, value);
  }

  // Pixels at once; the former picture stays while the browser reads a file, such as a JPEG.
  decode({ values, shape }) {
    const { spec } = this;
    if (shape.length === 1) {
      createImageBitmap(new Blob([values])).then((picture) => {
        if (spec !== this.spec) return;
        this.picture = picture;
        this.region.paint();
      });
      return;
    }
    const { canvas, pixels, done } = pixelCanvas(shape[1], shape[0]);
    for (let at = 0; at < pixels.length; at++) pixels[at] = packRgb(...values.subarray(3 * at, 3 * at + 3));
    done();
    this.picture = canvas;
  }

  put(place) {
    this.place = place;
    put(this.element, place.at);
  }

  // A class's picture of that size, drawn once.
  drawn(which, size) {
    const key = `${which} ${size}`;
    if (!this.maps.has(key)) {
      this.maps.set(key, evidence(this, which, size, pixelTable(this.viewer.table(this.spec.colours))));
    }
    return this.maps.get(key);
  }

  // What the mouse reads at a point: the value of the map's cell there.
  lines(x, y) {
    if (this.spec.kind !== "ClassMap") return null;
    const [left, top, width, height] = this.place.at;
    const [, rows, columns] = this.values.shape;
    const [row, column] = [Math.floor(((y - top) / height) * rows), Math.floor(((x - left) / width) * columns)];
    if (row < 0 || column < 0 || row >= rows || column >= columns) return null;
    const { chosen, scene } = this.viewer;
    const value = this.values.values[(chosen * rows + row) * columns + column];
    return [number(value), `${this.spec.unit} for ${scene.classes[chosen]}, row ${row}, column ${column}`];
  }
}

// A grid of tiles: each is a map or a kernel, with a sentence for readers of the screen.
class Tiles {
  constructor(region) {
    this.region = region;
    this.viewer = region.viewer;
    this.element = element("div", "grid", region.box, { role: "grid", tabindex: 0, "aria-readonly": "true" });
    this.row = element("div", "row", this.element, { role: "row" });
    this.marks = ["hovered", "selected", "cursor"].map((name) => element("div", `mark ${name}`, this.element));
    Object.assign(this, { hovered: -1, selected: -1, cursor: 0 });
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("focus", () => this.mark({ cursor: Math.max(0, this.selected) }));
  }

  load(spec) {
    this.spec = spec;
    this.values = this.viewer.array(spec.values);
    this.limits = this.viewer.array(spec.limits);
    this.painted = null;
    this.element.setAttribute("aria-label", spec.label);
    this.element.classList.toggle("opens", spec.opens);
  }

  // The tiles by their colours, drawn once.
  atlas() {
    this.painted ??= atlasOf(this, pixelTable(this.viewer.table(this.spec.colours)));
    return this.painted;
  }

  put(place) {
    this.place = place;
    put(this.element, place.at);
    this.element.setAttribute("aria-rowcount", place.rows);
    this.element.setAttribute("aria-colcount", place.columns);
    this.mark({ hovered: -1, cursor: bounded(this.cursor, 0, place.shown - 1) });
  }

  // Moves outlines to other tiles; to none with an index outside. The tile at the keyboard's is the
  // one that a reader of the screen is told: as a new element, so that it is read.
  mark(change) {
    Object.assign(this, change);
    const { columns, shown, at } = this.place;
    for (const [which, name] of ["hovered", "selected", "cursor"].entries()) {
      const mark = this.marks[which];
      mark.hidden = this[name] < 0 || this[name] >= shown;
      const [left, top, ...size] = placeOf(this.place, this[name]);
      put(mark, [left - at[0], top - at[1], ...size]);
    }
    if (!("cursor" in change || "selected" in change)) return;
    spoken += 1;
    const cell = element("div", "", null, {
      role: "gridcell",
      id: `cell-${spoken}`,
      "aria-colindex": (this.cursor % columns) + 1,
      "aria-selected": this.cursor === this.selected,
      text: this.spec.sentences[this.cursor] ?? "",
    });
    this.row.setAttribute("aria-rowindex", Math.floor(this.cursor / columns) + 1);
    this.row.replaceChildren(cell);
    this.element.setAttribute("aria-activedescendant", cell.id);
  }

  key(event) {
    const { columns, shown } = this.place;
    const last = shown - 1;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -last, End: last };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const next = this.cursor + moves[event.key];
      const cursor = event.key in { Home: 0, End: 0 } ? bounded(next, 0, last) : next;
      if (cursor >= 0 && cursor <= last) this.mark({ cursor });
      this.marks[2].scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" || event.key === " ") this.open(this.cursor);
    else if ("+-".includes(event.key) && this.region.flows) this.viewer.zoomBy(event.key === "+" ? ZOOM : 1 / ZOOM);
    else return;
    event.preventDefault();
  }

  // The tile at a point of the region, and the cell in it.
  at(x, y) {
    const index = tileAt(this.place, x, y);
    if (index < 0) return null;
    const [left, top, width, height] = placeOf(this.place, index);
    const [, rows, columns] = this.values.shape;
    const row = bounded(Math.floor(((y - top) / height) * rows), 0, rows - 1);
    const column = bounded(Math.floor(((x - left) / width) * columns), 0, columns - 1);
    return { index, row, column };
  }

  click(event) {
    const hit = this.at(...placeIn(this.region.box, event));
    if (hit) this.open(hit.index, { row: hit.row * this.spec.cell, column: hit.column * this.spec.cell });
  }

  // Outlines a tile at once; the server shows what there is to say about it.
  open(index, cell = {}) {
    this.mark(this.spec.opens ? { cursor: index, selected: index } : { cursor: index });
    if (this.spec.opens) this.viewer.report({ item: this.spec.name, index, ...cell });
  }

  lines(x, y) {
    const hit = this.at(x, y);
    if ((hit?.index ?? -1) !== this.hovered) this.mark({ hovered: hit?.index ?? -1 });
    if (!hit) return null;
    const { unit, cell, sentences } = this.spec;
    const [, rows, columns, channels = 1] = this.values.shape;
    const start = ((hit.index * rows + hit.row) * columns + hit.column) * channels;
    const values = [...this.values.values.subarray(start, start + channels)].map(number).join(" · ");
    const mean = cell > 1 ? `, mean of ${cell} × ${cell} cells` : "";
    const place = `${unit}, row ${hit.row * cell}, column ${hit.column * cell}${mean}`;
    return [values, place, ...sentences[hit.index].split("\n")];
  }
}
