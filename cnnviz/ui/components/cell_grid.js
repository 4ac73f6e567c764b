// A grid of cells over a canvas, for mouse, touch, keyboard and screen readers.

import { bounded } from "./pixels.js";
import { element, put } from "./elements.js";
import { placeOf, tileAt } from "./layout.js";

let spoken = 0;

// A click has whole pixels, and cells may be as small: where it began is what the mouse reads.
export function precise(click, pressed) {
  const same = pressed?.pointerType === click.pointerType;
  const near = same && Math.max(Math.abs(pressed.clientX - click.clientX), Math.abs(pressed.clientY - click.clientY)) <= 1;
  return near ? pressed : click;
}

export class CellGrid {
  // `sentence` of a cell; `open` and `hover` get a cell's number, or -1, and where in it the
  // pointer is: shares across and down, undefined from the keyboard, and its type.
  constructor(parent, { sentence, open, hover }) {
    Object.assign(this, { sentence, open, hover, cursor: 0, hovered: -1 });
    this.element = element("div", "grid", parent, { role: "grid", tabindex: 0, "aria-readonly": "true" });
    this.row = element("div", "row", this.element, { role: "row" });
    this.marks = ["hovered", "cursor"].map((name) => element("div", `mark ${name}`, this.element, { hidden: "" }));
    const { element: grid } = this;
    grid.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.point(event));
    grid.addEventListener("pointerleave", () => this.leave());
    grid.addEventListener("pointerdown", (event) => {
      this.pressed = event;
    });
    grid.addEventListener("click", (event) => {
      const hit = this.at(precise(event, this.pressed));
      if (hit) this.choose(hit.index, hit);
    });
    grid.addEventListener("keydown", (event) => this.key(event));
    grid.addEventListener("focus", () => grid.matches(":focus-visible") && this.move(this.cursor));
    grid.addEventListener("blur", () => this.leave());
  }

  // `place` as layout.js has it.
  put(place, label) {
    this.place = place;
    put(this.element, place.at);
    for (const [name, value] of [
      ["label", label],
      ["rowcount", place.rows],
      ["colcount", place.columns],
    ])
      this.element.setAttribute(`aria-${name}`, value);
    this.leave();
    this.move(bounded(this.cursor, 0, place.shown - 1), false);
  }

  mark(which, index) {
    const mark = this.marks[which];
    mark.hidden = index < 0;
    if (index < 0) return;
    const [left, top, ...size] = placeOf(this.place, index);
    put(mark, [left - this.place.at[0], top - this.place.at[1], ...size]);
  }

  at({ clientX, clientY, pointerType }) {
    const box = this.element.getBoundingClientRect();
    const [left, top] = this.place.at;
    const [x, y] = [clientX - box.left + left, clientY - box.top + top];
    const index = tileAt(this.place, x, y);
    if (index < 0) return null;
    const [x0, y0, width, height] = placeOf(this.place, index);
    return { index, across: (x - x0) / width, down: (y - y0) / height, pointerType };
  }

  // Where a tile is in the window.
  onScreen(index) {
    const { left, top } = this.element.getBoundingClientRect();
    const [x, y, width, height] = placeOf(this.place, index);
    return { left: left + x - this.place.at[0], top: top + y - this.place.at[1], width, height };
  }

  point(event) {
    const hit = this.at(event);
    this.hovered = hit?.index ?? -1;
    this.mark(0, this.hovered);
    this.hover(this.hovered, hit ?? {}, event);
  }

  leave() {
    if (this.hovered < 0) return;
    this.hovered = -1;
    this.mark(0, -1);
    this.hover(-1, {}, null);
  }

  // Moves the keyboard's outline. The cell there is the one that a reader of the screen is told: as
  // a new element, so that it is read.
  move(index, told = true) {
    this.cursor = index;
    this.mark(1, index);
    spoken += 1;
    const { columns } = this.place;
    const cell = element("div", "", null, {
      role: "gridcell",
      id: `walk-cell-${spoken}`,
      "aria-colindex": (index % columns) + 1,
      text: this.sentence(index),
    });
    this.row.setAttribute("aria-rowindex", Math.floor(index / columns) + 1);
    this.row.replaceChildren(cell);
    this.element.setAttribute("aria-activedescendant", cell.id);
    if (told) this.hover(index, {}, null);
  }

  key(event) {
    const { columns, shown } = this.place;
    const last = shown - 1;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key in moves) {
      const next = this.cursor + moves[event.key];
      if (next >= 0 && next <= last) this.move(next);
    } else if (event.key === "Home" || event.key === "End") this.move(event.key === "Home" ? 0 : last);
    else if (event.key === "Enter" || event.key === " ") this.open(this.cursor, {});
    else return;
    this.marks[1].scrollIntoView({ block: "nearest" });
    event.preventDefault();
  }

  choose(index, hit) {
    this.move(index, false);
    this.open(index, hit);
  }
}
