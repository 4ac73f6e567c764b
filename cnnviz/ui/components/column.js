// A column of the wall: the strongest maps of a stage, or the cells of a dense layer.

import { CellGrid } from "./cell_grid.js";
import { number } from "./elements.js";
import { within } from "./frame.js";
import { placeOf } from "./layout.js";
import { atlasOf, bounded } from "./pixels.js";

const TOUCH = 44; // pixels: a smaller tile is no target for a finger's cell

export class Column {
  constructor(view, parent) {
    this.view = view;
    this.grid = new CellGrid(parent, {
      sentence: (index) => this.sentence(index),
      open: (index, hit) => this.open(index, hit),
      hover: (index, hit, event) => this.hover(index, hit, event),
    });
  }

  load(spec, units) {
    this.spec = spec;
    const { values, shape } = this.view.array(spec.values);
    const [count, h, w] = units ? [shape[0], 1, 1] : shape;
    Object.assign(this, { values, count, h, w, painted: null });
    const { rows, grid, presented } = spec;
    this.part = { count, rows, grid, presented, aspect: h / w, units };
  }

  put(place) {
    this.place = place;
    this.grid.put(place, `${this.spec.name}: ${this.spec.note}`);
  }

  paint(context, density, opacity) {
    const { place, spec } = this;
    const [across, down] = place.tile;
    const shape = [this.count, this.h, this.w];
    const item = { values: { values: this.values, shape }, limits: spec.limits };
    this.painted ??= atlasOf(item, this.view.theme.table(spec.colours));
    const { canvas, columns, width, height } = this.painted;
    context.save();
    context.imageSmoothingEnabled = across * density < width || down * density < height;
    context.imageSmoothingQuality = "medium";
    context.strokeStyle = this.view.theme.colour("--rule");
    context.lineWidth = 1;
    // Where zero has the page's colour a tile needs an edge.
    const edged = spec.limits[0] < 0;
    for (let tile = 0; tile < place.shown; tile++) {
      const [left, top] = placeOf(place, tile);
      context.save();
      context.globalAlpha = opacity(Math.floor(tile / place.columns));
      context.beginPath();
      context.roundRect(left, top, across, down, place.radius);
      context.clip();
      const from = [(tile % columns) * width, Math.floor(tile / columns) * height];
      context.drawImage(canvas, ...from, width, height, left, top, across, down);
      if (edged) context.stroke();
      context.restore();
    }
    context.restore();
  }

  value(index, row, column) {
    return this.values[(index * this.h + row) * this.w + column];
  }

  // The cell with the largest magnitude of a tile.
  strongest(index) {
    const size = this.h * this.w;
    let best = 0;
    for (let at = 1; at < size; at++) {
      const [one, other] = [index * size + at, index * size + best].map((place) => Math.abs(this.values[place]));
      if (one > other) best = at;
    }
    return { row: Math.floor(best / this.w), column: best % this.w };
  }

  cell(index, { across, down }) {
    if (across === undefined) return this.strongest(index);
    const row = bounded(Math.floor(down * this.h), 0, this.h - 1);
    return { row, column: bounded(Math.floor(across * this.w), 0, this.w - 1) };
  }

  sentence(index) {
    if (this.part.units) return `Unit ${index}: ${number(this.values[index])}`;
    const { row, column } = this.strongest(index);
    const value = number(this.value(index, row, column));
    return `Channel ${this.spec.channels[index]} of ${this.spec.name}: strongest ${value}, row ${row}, column ${column}`;
  }

  open(index, hit) {
    const { spec } = this;
    if (this.part.units) this.view.report({ action: "cell", name: spec.path, channel: index });
    else if (hit.pointerType === "touch" && Math.min(...this.place.tile) < TOUCH) {
      this.view.report({ action: "stage", name: spec.path });
    } else {
      const cell = this.cell(index, hit);
      const event = { action: "cell", name: spec.path, channel: spec.channels[index], ...cell };
      this.view.report(event, this.grid.onScreen(index));
    }
  }

  hover(index, hit, event) {
    const { view, spec } = this;
    if (index < 0) {
      // A click has opened the cell, whose field stays.
      if (!view.opened.message) view.photo.showField(null);
      view.tip.say(null);
      return;
    }
    const { row, column } = this.cell(index, hit);
    const lines = this.part.units
      ? [number(this.values[index]), `unit ${index}`]
      : [number(this.value(index, row, column)), `channel ${spec.channels[index]}, row ${row}, column ${column}`];
    if (event) view.tip.say(lines, event);
    if (!spec.field) return;
    const { start, step, size } = spec.field;
    const box = [start[0] + column * step[0], start[1] + row * step[1], ...size];
    view.photo.showField(within(view.photo.seen, box));
  }
}
