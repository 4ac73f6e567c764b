// Maps side by side, over their photos. The pointer over a place of one photo marks the same place
// in all maps, with each one's value there. comparison.py says what is sent.

import { same, unpack } from "./data.js";
import { button, element, isDark, number, put } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { frame, paintPhoto, paintVeil } from "./frame.js";
import { enlargement } from "./page.js";
import { bounded, surface } from "./pixels.js";
import { Theme } from "./theme.js";

const NARROW = 640; // pixels below which the methods are below one another
const [HEADING, GAP, LINE_GAP] = [132, 14, 10]; // pixels of the headings' column, between maps across and down
const [LITTLE, SHORT] = [900, 90]; // pixels of a width, and of the headings' column below it
const [SMALLEST, LOWEST] = [120, 120]; // pixels of a picture's width, and of its height
const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`;
const CONTOURS = [0.2, 0.4, 0.6]; // shares of the limit

export default function render({ data, parentElement, setTriggerValue }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  parentElement.comparison ??= new Comparison(parentElement);
  const { comparison } = parentElement;
  comparison.send = (event) => setTriggerValue("event", event);
  comparison.show(packed);
  return () => comparison.watch.disconnect();
}

class Comparison {
  constructor(root) {
    this.box = element("div", "comparison", root);
    this.board = element("div", "board", this.box);
    this.told = element("div", "told", this.box, { "aria-live": "polite" });
    this.theme = new Theme(this.box);
    this.watch = new ResizeObserver(() => this.width !== this.box.clientWidth && this.layOut());
  }

  show(packed) {
    this.watch.observe(this.box);
    const dark = isDark(this.box);
    if (same(this.packed, packed) && dark === this.dark) return;
    Object.assign(this, { packed, dark, scene: unpack(packed) });
    this.box.classList.toggle("dark", dark);
    this.theme.load(this.scene);
    this.build();
    this.layOut();
  }

  build() {
    const { columns, rows, cells, photos } = this.scene;
    this.board.replaceChildren();
    this.columns = columns.map((column) => this.buildMethod(column));
    this.rows = rows.map(({ title, share, lines }) => {
      const head = element("div", "class", this.board);
      element("div", "name", head, { text: title });
      element("div", "share", head, { text: share });
      for (const text of lines) element("div", "quiet", head, { text });
      return head;
    });
    this.cells = cells.flatMap((line, row) => line.map((cell, column) => new Cell(this, cell, row, column)));
    this.pictures = photos.map(() => null);
    for (const [at, { pixels }] of photos.entries()) {
      const { scene } = this;
      createImageBitmap(new Blob([scene.arrays[pixels.array].values])).then((picture) => {
        if (scene !== this.scene) return;
        this.pictures[at] = picture;
        for (const cell of this.cells) cell.paint();
      });
    }
  }

  buildMethod({ title, unit, ends }) {
    const head = element("div", "method", this.board);
    element("div", "title", head, { text: title });
    const legend = element("div", "legend", head, { role: "img", "aria-label": `Colours: ${unit}, ${ends.join(" to ")}` });
    if (ends[0]) this.theme.buildLegend(legend, { colours: "blue-orange", limits: [-1, 1] }, ["", ...ends]);
    element("div", "quiet", head, { text: unit, title: unit });
    return head;
  }

  // In a wide window the methods are side by side; in a narrow one the classes.
  layOut() {
    this.width = this.box.clientWidth;
    if (!this.width) return;
    const narrow = this.width < NARROW;
    const { columns, rows } = this;
    const across = narrow ? rows.length : columns.length;
    const heading = this.width < LITTLE ? SHORT : HEADING;
    this.box.classList.toggle("narrow", narrow);
    this.board.style.gridTemplateColumns = `${narrow ? "" : `${heading}px `}repeat(${across}, minmax(${SMALLEST}px, 1fr))`;
    for (const [at, { style }] of columns.entries()) style.gridArea = narrow ? `${2 + 2 * at} / 1 / auto / -1` : `1 / ${at + 2}`;
    for (const [at, { style }] of rows.entries()) style.gridArea = narrow ? `1 / ${at + 1}` : `${at + 2} / 1`;
    for (const { box, row, column } of this.cells) {
      box.style.gridArea = narrow ? `${3 + 2 * column} / ${row + 1}` : `${row + 2} / ${column + 2}`;
    }
    const free = (this.width - (narrow ? 0 : heading + GAP) - GAP * (across - 1)) / across;
    const size = [Math.max(SMALLEST, free), narrow ? this.width : this.height()];
    for (const cell of this.cells) cell.layOut(size);
  }

  // Of a picture, so that all rows fit into the window below what is above them.
  height() {
    const { rows, cells, columns, box } = this;
    const larger = enlargement(box);
    const above = (box.getBoundingClientRect().top + scrollY) / larger + Math.max(...columns.map(({ offsetHeight }) => offsetHeight));
    const captions = Math.max(...cells.map(({ caption }) => caption.offsetHeight));
    return Math.max(LOWEST, (innerHeight / larger - above - LINE_GAP) / rows.length - captions - LINE_GAP);
  }

  // Marks a place, in shares of the photo; null for none.
  point(place) {
    for (const cell of this.cells) cell.point(place);
  }

  tell(text) {
    this.told.textContent = text;
  }
}

class Cell {
  constructor(view, spec, row, column) {
    Object.assign(this, { view, row, column, drawn: new Map() });
    ({ values: this.values, shape: this.shape } = view.scene.arrays[spec.values.array]);
    Object.assign(this, { limit: spec.limit, of: view.scene.rows[row], label: spec.label });
    this.box = element("div", "cell", view.board);
    const { id } = view.scene;
    const open = () => view.send({ id, row, column });
    this.button = button("picture", this.box, "", open, { "aria-label": spec.label });
    this.canvas = element("canvas", "", this.button, { "aria-hidden": "true" });
    this.mark = element("span", "mark hovered", this.button, { hidden: "" });
    this.value = element("span", "value", this.button, { hidden: "", "aria-hidden": "true" });
    this.caption = element("div", "caption", this.box);
    for (const text of spec.lines) element("div", "", this.caption, { text });
    this.button.addEventListener("pointermove", (event) => view.point(this.placeAt(event)));
    this.button.addEventListener("pointerleave", () => view.point(null));
    this.button.addEventListener("keydown", (event) => this.key(event));
    this.button.addEventListener("blur", () => view.point(null));
  }

  get photo() {
    return this.view.scene.photos[this.of.photo];
  }

  layOut(size) {
    this.frame = frame(this.photo, this.of.seen, size);
    [this.button.style.width, this.button.style.height] = this.frame.size.map((length) => `${length}px`);
    this.paint();
  }

  paint() {
    if (!this.frame) return;
    const { context, density } = surface(this.canvas, ...this.frame.size);
    const { seen } = this.frame;
    paintPhoto(context, this.view.pictures[this.of.photo], this.frame, this.photo.pixelated, density, (picture, place) => paintGrey(context, picture, place));
    const size = [seen[3], seen[2]].map((length) => Math.max(1, Math.round(length * density)));
    paintEvidence(context, this.map(size), seen, 1);
    paintVeil(context, this.frame, this.view.theme.colour("--ground"));
  }

  // The map in that size, drawn once.
  map(size) {
    const key = String(size);
    if (!this.drawn.has(key)) {
      const { values, limit, view } = this;
      const [h, w] = this.shape;
      this.drawn.set(key, evidence({ values, h, w, limit, table: view.theme.table("blue-orange"), size, contours: CONTOURS }));
    }
    return this.drawn.get(key);
  }

  // Where the pointer is, in shares of the photo. The page may be enlarged.
  placeAt({ clientX, clientY }) {
    const outer = this.canvas.getBoundingClientRect();
    const [left, top, width, height] = this.frame.photo;
    const [x, y] = [((clientX - outer.left) / outer.width) * this.frame.size[0], ((clientY - outer.top) / outer.height) * this.frame.size[1]];
    return [(x - left) / width, (y - top) / height];
  }

  // The cell of the map at a place of the photo; null where the network did not look.
  cellAt([x, y]) {
    const [left, top, width, height] = this.of.seen;
    const [rows, columns] = this.shape;
    const [row, column] = [Math.floor(((y - top) / height) * rows), Math.floor(((x - left) / width) * columns)];
    return row < 0 || column < 0 || row >= rows || column >= columns ? null : [row, column];
  }

  point(place) {
    const cell = place && this.cellAt(place);
    this.mark.hidden = !cell;
    this.value.hidden = !place;
    if (!place) return;
    this.value.textContent = cell ? signed(this.values[cell[0] * this.shape[1] + cell[1]]) : "not seen";
    if (!cell) return;
    const [left, top, width, height] = this.frame.seen;
    const [down, across] = [height / this.shape[0], width / this.shape[1]];
    put(this.mark, [left + cell[1] * across, top + cell[0] * down, across, down]);
    this.cursor = cell;
  }

  // The arrow keys move the mark by a cell of this map, and all values there are told.
  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const from = this.cursor ?? this.shape.map((length) => length >> 1);
    const [row, column] = from.map((at, axis) => bounded(at + move[axis], 0, this.shape[axis] - 1));
    const [left, top, width, height] = this.of.seen;
    const place = [left + ((column + 0.5) / this.shape[1]) * width, top + ((row + 0.5) / this.shape[0]) * height];
    this.view.point(place);
    const values = this.view.cells.map(({ label, value }) => `${label.split(":")[0]} ${value.textContent}`);
    this.view.tell(`Row ${row}, column ${column}: ${values.join(", ")}`);
  }
}
