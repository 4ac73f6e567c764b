// The map of a class over the grey photo.

import { CellGrid } from "./cell_grid.js";
import { element, number, put } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { paintPhoto, paintVeil } from "./frame.js";
import { surface } from "./pixels.js";

const MAP_PIXELS = 320; // of the map's longer side, before the browser enlarges it
const CONTOURS = [0.2, 0.4, 0.6]; // shares of the limit

export class MapView {
  // `which` says whose map it is.
  constructor(view, parent, which) {
    Object.assign(this, { view, which });
    this.box = element("div", "picture map", parent);
    this.canvas = element("canvas", "", this.box, { "aria-hidden": "true" });
    this.grid = new CellGrid(this.box, {
      sentence: (index) => this.lines(index).join(" "),
      open: (index) => this.view.report({ action: "map", name: this.label, ...this.cell(index) }),
      hover: (index, _hit, event) => this.view.tip.say(index < 0 || !event ? null : this.lines(index), event),
    });
    this.drawn = new Map();
  }

  load() {
    this.drawn.clear();
    const { values, shape } = this.view.array(this.view.scene.maps);
    [this.values, this.shape] = [values, shape];
  }

  get label() {
    return this.view.scene.classes[this.which()].label;
  }

  cell(index) {
    return { row: Math.floor(index / this.shape[2]), column: index % this.shape[2] };
  }

  lines(index) {
    const { row, column } = this.cell(index);
    const [, h, w] = this.shape;
    const value = this.values[this.which() * h * w + index];
    return [number(value), `${this.view.scene.unit} for ${this.label}, row ${row}, column ${column}`];
  }

  put(place) {
    this.frame = place;
    put(this.box, [0, 0, ...place.size]);
    const [, rows, columns] = this.shape;
    const [, , width, height] = place.seen;
    const tile = [width / columns, height / rows];
    const cells = { at: place.seen, rows, columns, gap: 0, strip: 0, tile, shown: rows * columns };
    this.grid.put(cells, `Where the photo speaks for ${this.label}`);
  }

  // A class's map of that size, drawn once.
  map(which, size) {
    const key = `${which} ${size}`;
    if (!this.drawn.has(key)) {
      const [, h, w] = this.shape;
      const values = this.values.subarray(which * h * w, (which + 1) * h * w);
      const table = this.view.theme.table("blue-orange");
      this.drawn.set(key, evidence({ values, h, w, limit: this.view.scene.limit, table, size, contours: CONTOURS }));
    }
    return this.drawn.get(key);
  }

  // Draws maps, each with its strength; none where the answer is not to be seen yet.
  paint(strengths) {
    if (!this.frame) return;
    const { view, frame } = this;
    const { context, density } = surface(this.canvas, ...frame.size);
    const { photo } = view.scene;
    paintPhoto(context, view.picture, frame, photo.pixelated, density, (picture, place) => paintGrey(context, picture, place));
    const scale = Math.min(density, MAP_PIXELS / Math.max(frame.seen[2], frame.seen[3]));
    const size = [frame.seen[3], frame.seen[2]].map((length) => Math.max(1, Math.round(length * scale)));
    for (const [which, strength] of strengths) paintEvidence(context, this.map(which, size), frame.seen, strength);
    paintVeil(context, frame, view.theme.colour("--ground"));
  }
}
