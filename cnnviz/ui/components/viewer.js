// Draws a scene of tiles on canvases, and reports clicks. What the pointer does (values, outlines,
// zoom) is answered here, without the server. viewer.py says what is in a scene, and packs it.

import { same, unpack } from "./data.js";
import { button, colourOf, element, isDark, number, put } from "./elements.js";
import { flow, placed, placeOf, tileAt } from "./layout.js";
import { enlargement, showBeside } from "./page.js";
import { paintTiles } from "./painting.js";
import { atlasOf, bounded, pixelTable } from "./pixels.js";

const NARROW = 560; // pixels of a viewer below which the narrow layout is used
const MOST_UNZOOMED = 12; // tiles that cannot be zoomed: they are a glimpse
const LARGEST_CANVAS = 8e6; // pixels; Safari stops at 16.7 million
const ZOOM = 4 / 3;
const TINY = 10; // pixels of the tiles at which zooming out ends

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

export class Viewer {
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

  // Draws a scene. The elements stay if it is made of the same parts; so does the zoom if it has
  // the same name.
  show(scene, send) {
    const [former, dark] = [this.scene, isDark(this.box)];
    this.send = send;
    viewers.set(scene.key, this);
    this.watch.observe(this.box);
    if (scene === former && dark === this.dark) return;
    const other = scene.id !== former?.id;
    if (other) Object.assign(this, { columns: scene.columns ?? null, all: false });
    Object.assign(this, { scene, dark });
    this.tip.hidden = true;
    const parts = JSON.stringify(scene.regions.map(({ items }) => items.map(({ name }) => name)));
    if (parts !== this.parts) {
      this.parts = parts;
      this.stage.replaceChildren();
      this.regions = scene.regions.map((region) => new Region(this, region));
      this.items = this.regions.flatMap((region) => region.items);
    }
    for (const [at, region] of this.regions.entries()) region.load(scene.regions[at]);
    if (other) for (const item of this.items) item.selected = -1;
    const { id, title, legend } = scene;
    const shown = JSON.stringify([id, title, legend, dark]);
    if (shown !== this.shown) this.buildBar();
    this.shown = shown;
    this.layOut();
    this.applySelection();
  }

  colour(name) {
    return colourOf(this.box, name);
  }

  array(reference) {
    return Array.isArray(reference) ? reference : this.scene.arrays[reference.array];
  }

  // A scale's colours for this theme, (256, 3).
  table(name) {
    return this.array(this.scene.tables[name][this.dark ? 1 : 0]);
  }

  buildBar() {
    const { title, legend } = this.scene;
    this.bar.replaceChildren();
    if (title) element("div", "title", this.bar, { text: title });
    if (legend) this.buildLegend(legend);
    if (this.items.some(({ region, values }) => region.flows && values.shape[0] > MOST_UNZOOMED)) {
      const zoom = element("div", "zoom", this.bar, { role: "group", "aria-label": "Size of the tiles" });
      button("", zoom, "−", () => this.zoomBy(1 / ZOOM), { title: "Smaller tiles", "aria-label": "Smaller tiles" });
      button("", zoom, "+", () => this.zoomBy(ZOOM), { title: "Larger tiles", "aria-label": "Larger tiles" });
    }
    this.bar.hidden = !this.bar.childElementCount;
  }

  buildLegend({ unit, colours, low, high, rgb, ticks: [first, last] }) {
    const label = `Colours: ${unit ? `${unit}, ` : ""}${first} to ${last}`;
    const legend = element("div", unit ? "legend" : "legend wide", this.bar, { role: "img", "aria-label": label });
    element("span", "", legend, { text: `${unit} ${first}` });
    const ramp = element("span", "ramp", legend);
    ramp.classList.toggle("rgb", rgb);
    if (rgb) for (const at of [0, 1, 2]) element("span", "", ramp).style.background = colourRamp(at, low, high);
    else {
      const { values } = this.table(colours);
      const stops = Array.from({ length: 18 }, (_, at) => `rgb(${values.subarray(45 * at, 45 * at + 3)})`);
      ramp.style.background = `linear-gradient(to right, ${stops})`;
    }
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

  paint() {
    for (const region of this.regions) region.paint();
  }

  // How much of each tile is the one before, for scenes that have both; 0 to 1, from the left.
  wipe(share) {
    this.share = share;
    this.paint();
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

// From the lowest to the highest value of one colour, where the two others are zero.
function colourRamp(at, low, high) {
  const zero = bounded((255 * -low) / (high - low), 0, 255);
  const ends = [0, 255].map((end) => `rgb(${[zero, zero, zero].with(at, end)})`);
  return `linear-gradient(to right, ${ends})`;
}

// One canvas, and over it an element for each thing that is named or can be chosen.
class Region {
  constructor(viewer, spec) {
    this.viewer = viewer;
    this.box = element("div", "region", viewer.stage);
    this.canvas = element("canvas", "", this.box, { "aria-hidden": "true" });
    this.items = spec.items.map(() => new Tiles(this));
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
      } else item.put(placed(item, at, narrow, scale));
    }
    this.extent = [width, this.flows ? this.items[0].place.at[3] : down * scale];
    this.box.style.height = `${this.extent[1]}px`;
  }

  paint() {
    if (!this.extent) return;
    const [width, height] = this.extent;
    const density = Math.min((devicePixelRatio || 1) * enlargement(this.box), Math.sqrt(LARGEST_CANVAS / (width * height + 1)));
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const context = this.canvas.getContext("2d");
    context.scale(density, density);
    for (const item of this.items) paintTiles(context, item, density);
  }

  hover(event) {
    const [x, y] = event ? placeIn(this.box, event) : [-1e9, -1e9];
    const lines = this.items.map((item) => item.lines(x, y)).findLast(Boolean);
    this.viewer.say(lines, ...(event ? placeIn(this.viewer.box, event) : [0, 0]));
  }
}

// Where the pointer is in an element, in its own pixels.
function placeIn(box, { clientX, clientY }) {
  const { left, top } = box.getBoundingClientRect();
  const scale = enlargement(box);
  return [(clientX - left) / scale, (clientY - top) / scale];
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
    this.before = spec.before ? this.viewer.array(spec.before) : null;
    this.painted = this.paintedBefore = null;
    this.element.setAttribute("aria-label", spec.label);
    this.element.classList.toggle("opens", spec.opens);
  }

  // The tiles by their colours, drawn once.
  atlas() {
    this.painted ??= atlasOf(this, pixelTable(this.viewer.table(this.spec.colours)));
    return this.painted;
  }

  // The tiles before, likewise, and how much of them is seen; null for none.
  get wiped() {
    const { share } = this.viewer;
    if (!this.before || !share) return null;
    const { limits, viewer, spec } = this;
    this.paintedBefore ??= atlasOf({ values: this.before, limits }, pixelTable(viewer.table(spec.colours)));
    return { canvas: this.paintedBefore.canvas, share };
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
    if (!hit) return;
    this.open(hit.index, { row: hit.row * this.spec.cell, column: hit.column * this.spec.cell });
    if (this.spec.opens) showBeside();
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
    const isBefore = this.wiped && (hit.column + 0.5) / columns < this.wiped.share;
    const shown = isBefore ? this.before : this.values;
    const values = [...shown.values.subarray(start, start + channels)].map(number).join(" · ");
    const mean = cell > 1 ? `, mean of ${cell} × ${cell} cells` : "";
    const place = `${unit}, row ${hit.row * cell}, column ${hit.column * cell}${mean}`;
    return [values, place, ...sentences[hit.index].split("\n")];
  }
}
