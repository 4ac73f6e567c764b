// One map of a comparison, over its photo.

import { button, element, number, put } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { frame, paintPhoto, paintVeil } from "./frame.js";
import { bounded, surface } from "./pixels.js";

const CONTOURS = [0.2, 0.4, 0.6]; // shares of the limit

const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`;

export class MapCell {
  // `view` is the comparison, `spec` a `MapCell` of comparison.py.
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
