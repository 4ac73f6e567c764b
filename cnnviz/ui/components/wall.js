// The wall: the strongest maps of each stage as a column, and what each adds to the answer.

import { Axis } from "./axis.js";
import { Column } from "./column.js";
import { element } from "./elements.js";
import { bounded, surface } from "./pixels.js";
import { Terms } from "./terms.js";
import { belowOneAnother, sideBySide } from "./wall_layout.js";

const [HEIGHT, PRESENTED] = [374, 372]; // pixels of a column in a window of 1280
const [BEFORE, AFTER] = [32, 28]; // pixels beside the wall that its canvas covers, too
const FADE_IN = 300; // milliseconds
const STAGGER = 12; // milliseconds from row to row
const HIDDEN = 0.22; // opacity of what a playing photo has not reached

export class Wall {
  constructor(view, parent) {
    this.view = view;
    this.box = element("section", "wall", parent);
    const head = element("div", "head", this.box);
    element("h2", "", head, { text: "The strongest feature maps, layer by layer" });
    this.legend = element("div", "legend", head);
    this.area = element("div", "area", this.box);
    this.canvas = element("canvas", "", this.area, { "aria-hidden": "true" });
    this.columns = [];
    this.terms = new Terms(view, this.area);
    this.axis = new Axis(view, this.area);
  }

  load() {
    const { stages, units, legend } = this.view.scene;
    const parts = [...stages, ...units];
    while (this.columns.length > parts.length) this.columns.pop().grid.element.remove();
    while (this.columns.length < parts.length) this.columns.push(new Column(this.view, this.area));
    for (const [at, column] of this.columns.entries()) column.load(parts[at], at >= stages.length);
    this.terms.load();
    this.axis.load();
    const colours = parts[0];
    this.legend.hidden = !colours;
    if (colours) this.view.theme.buildLegend(this.legend, colours, legend);
  }

  layOut(width) {
    const { form, scale, scene } = this.view;
    this.width = width;
    [this.before, this.after] = form === "wide" || form === "present" ? [BEFORE, AFTER] : [0, 0];
    const parts = this.columns.map(({ part }) => part);
    const last = scene.terms && form !== "present" ? this.terms.width() * scale : 0;
    if (form === "narrow") {
      const made = belowOneAnother(parts, width, 29, 11);
      for (const [at, place] of made.places.entries()) this.columns[at].put(place);
      const rows = last ? 29 + this.terms.put([0, made.height + 29, width, 0], true) : 0;
      this.arrows = [];
      this.height = made.height + rows;
      const names = made.places.map(({ name }) => [0, name, width, 29]);
      this.axis.putRows(last ? [...names, [0, made.height, width, 29]] : names);
    } else {
      const present = form === "present";
      const full = (present ? PRESENTED : HEIGHT) * scale;
      const made = sideBySide(parts, width, full, form, last);
      // Beside the pictures columns that are not as high are in the middle.
      const top = present ? (full - made.height) / 2 : 0;
      for (const [at, place] of made.places.entries()) {
        place.at[1] = top;
        this.columns[at].put(place);
      }
      if (last) this.terms.put(made.last, false);
      const ends = made.places.map(({ at }) => at[0] + at[2]);
      if (!last) ends.pop();
      const length = Math.min(11, made.gap - 4);
      this.arrows = ends.map((end) => [end + (made.gap - length) / 2, length]);
      if (present) this.arrows.push([-23, 18], [width + 5, 18]);
      this.height = present ? full : made.height;
      const places = made.places.map(({ at }) => at);
      this.axis.putBelow(last ? [...places, made.last] : places, this.height, width);
    }
    this.terms.box.hidden = !last;
    this.canvas.style.left = `${-this.before}px`;
    this.area.style.height = `${this.height + this.axis.height}px`;
    this.paint();
  }

  // Draws all columns; those that a playing photo has not reached are pale, and the last one that
  // it has reached comes in row by row, `elapsed` milliseconds after it was.
  paint(elapsed = Number.POSITIVE_INFINITY) {
    const { view, width, height } = this;
    const { player } = view;
    const { context, density } = surface(this.canvas, width + this.before + this.after, height);
    context.translate(this.before, 0);
    if (view.form === "wide") this.paintWedge(context);
    context.strokeStyle = view.theme.colour("--edge");
    for (const [x, length] of this.arrows) paintArrow(context, x, height / 2, length);
    if (view.form === "wide" && view.scene.terms) paintArrow(context, width + 10, this.terms.scoreLine, 11);
    for (const [at, column] of this.columns.entries()) {
      const opacity = (row) => {
        if (at >= player.reached) return HIDDEN;
        if (at < player.reached - 1) return 1;
        const share = bounded((elapsed - row * STAGGER) / FADE_IN, 0, 1);
        return HIDDEN + (1 - HIDDEN) * (1 - (1 - share) ** 3);
      };
      column.paint(context, density, opacity);
    }
    this.terms.box.classList.toggle("pale", !view.answered);
    this.terms.paint();
  }

  paintWedge(context) {
    const [, bottom] = this.view.photo.frame.size;
    context.fillStyle = this.view.theme.colour("--wedge");
    context.beginPath();
    for (const corner of [
      [-29, 0],
      [-5, 0],
      [-5, this.height],
      [-29, bottom],
    ])
      context.lineTo(...corner);
    context.fill();
  }

  // How long the last column needs to come in.
  get fading() {
    const column = this.columns[this.view.player.reached - 1];
    return FADE_IN + STAGGER * (column?.place.rows ?? 0);
  }
}

function paintArrow(context, x, y, length) {
  const barb = Math.min(4, length / 2);
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + length, y);
  context.moveTo(x + length - barb, y - barb);
  context.lineTo(x + length, y);
  context.lineTo(x + length - barb, y + barb);
  context.stroke();
}
