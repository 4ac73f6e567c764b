// A photo that is painted over. The mask is a canvas with a pixel for each of the network's, opaque
// where it is painted; what it replaces is seen while the pointer moves.

import { element } from "./elements.js";
import { enlargement } from "./page.js";
import { bounded, surface } from "./pixels.js";

const MOST_UNDONE = 30; // strokes
const HALF = 128; // of an edge's opacity, from which a pixel is painted
const EDGE = 1.5; // CSS pixels of the line around what is painted
const RING = Array.from({ length: 8 }, (_, at) => [Math.cos((at * Math.PI) / 4), Math.sin((at * Math.PI) / 4)]);
const ERASER_OF_A_PEN = 32; // of a pointer's buttons
const MOVES = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

// The number of the row, or column, of cells in which a pixel is.
const within = (edges, place) => bounded(edges.findLastIndex((edge) => edge <= place), 0, edges.length - 2);

const canvasOf = (width, height) => {
  const canvas = element("canvas", "", null);
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d", { willReadFrequently: true });
};

export class PaintCanvas {
  // `changed` is called at the end of each stroke.
  constructor(parent, changed) {
    Object.assign(this, { changed, tool: "brush", size: 0.12, empty: true });
    this.box = element("div", "board", parent);
    this.canvas = element("canvas", "", this.box, { "aria-hidden": "true" });
    this.grid = element("div", "grid", this.box, { role: "grid", tabindex: 0, "aria-multiselectable": "true" });
    this.row = element("div", "row", this.grid, { role: "row" });
    this.cursor = element("div", "mark cursor", this.grid, { hidden: "" });
    this.brush = element("div", "brush", this.grid, { hidden: "" });
    this.watch = new ResizeObserver(() => this.paint());
    const { grid } = this;
    grid.addEventListener("pointerdown", (event) => this.begin(event));
    grid.addEventListener("pointermove", (event) => this.move(event));
    grid.addEventListener("pointerup", () => this.end());
    grid.addEventListener("pointercancel", () => this.end());
    grid.addEventListener("pointerleave", () => (this.brush.hidden = true));
    grid.addEventListener("keydown", (event) => this.key(event));
    grid.addEventListener("focus", () => this.point(grid.matches(":focus-visible")));
    grid.addEventListener("blur", () => this.point(false));
  }

  // Another photo, or another filling of the same one.
  load(scene, photo, filling) {
    const another = scene.id !== this.scene?.id;
    Object.assign(this, { scene, photo, filling });
    const [height, width] = scene.size;
    if (another) {
      Object.assign(this, { mask: canvasOf(width, height), undone: [], at: [0, 0] });
    }
    this.mask.lineCap = "round";
    this.mask.lineJoin = "round";
    this.box.style.aspectRatio = `${width} / ${height}`;
    this.grid.setAttribute("aria-label", `${scene.label}: cells to paint`);
    this.grid.setAttribute("aria-rowcount", scene.rows.length - 1);
    this.grid.setAttribute("aria-colcount", scene.columns.length - 1);
    this.watch.observe(this.box);
    this.point(!this.cursor.hidden);
    this.paint();
  }

  pixels() {
    const [height, width] = this.scene.size;
    return this.mask.getImageData(0, 0, width, height);
  }

  remember() {
    this.undone.push(this.pixels());
    if (this.undone.length > MOST_UNDONE) this.undone.shift();
  }

  // Only whole pixels are painted, as the network gets them.
  settle(image) {
    const { data } = image;
    this.empty = true;
    for (let at = 3; at < data.length; at += 4) {
      data[at] = data[at] < HALF ? 0 : 255;
      if (data[at]) this.empty = false;
    }
    this.mask.putImageData(image, 0, 0);
    this.paint();
  }

  undo() {
    if (this.undone.length) this.settle(this.undone.pop());
    this.changed();
  }

  clear() {
    this.change((data, at) => (data[at] = 0));
  }

  invert() {
    this.change((data, at) => (data[at] = 255 - data[at]));
  }

  change(opacity) {
    this.remember();
    const image = this.pixels();
    for (let at = 3; at < image.data.length; at += 4) opacity(image.data, at);
    this.settle(image);
    this.changed();
  }

  // The mask as bits, row after row: as the server has it.
  bits() {
    const { data } = this.pixels();
    const bytes = new Uint8Array(Math.ceil(data.length / 32));
    for (let at = 0; 4 * at < data.length; at++) if (data[4 * at + 3]) bytes[at >> 3] |= 128 >> (at & 7);
    return bytes;
  }

  take(bytes) {
    const image = this.pixels();
    const { data } = image;
    for (let at = 0; 4 * at < data.length; at++) data[4 * at + 3] = bytes[at >> 3] & (128 >> (at & 7)) ? 255 : 0;
    this.settle(image);
  }

  // --- Strokes ----------------------------------------------------------------------------------

  // Where the pointer is, in pixels of the network's input.
  under({ clientX, clientY }) {
    const { left, top, width, height } = this.grid.getBoundingClientRect();
    return [((clientX - left) / width) * this.scene.size[1], ((clientY - top) / height) * this.scene.size[0]];
  }

  cellAt([x, y]) {
    return [within(this.scene.rows, y), within(this.scene.columns, x)];
  }

  place([row, column]) {
    const { rows, columns } = this.scene;
    return [columns[column], rows[row], columns[column + 1] - columns[column], rows[row + 1] - rows[row]];
  }

  share(cell) {
    const { data } = this.mask.getImageData(...this.place(cell));
    let painted = 0;
    for (let at = 3; at < data.length; at += 4) painted += data[at] ? 1 : 0;
    return painted / (data.length / 4);
  }

  fill(cell, erases) {
    this.mask.globalCompositeOperation = erases ? "destination-out" : "source-over";
    this.mask.fillRect(...this.place(cell));
  }

  begin(event) {
    if (!event.isPrimary || event.button > 0 || !this.mask) return;
    this.grid.setPointerCapture(event.pointerId);
    this.remember();
    const from = this.under(event);
    const erases = this.tool === "eraser" || event.buttons & ERASER_OF_A_PEN;
    this.stroke = { from, erases: this.tool === "cells" ? this.share(this.cellAt(from)) > 0.5 : erases };
    this.draw(from);
  }

  move(event) {
    this.showBrush(event);
    if (!this.stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.draw(this.under(one));
  }

  draw(to) {
    const { mask, stroke } = this;
    if (this.tool === "cells") this.fill(this.cellAt(to), stroke.erases);
    else {
      mask.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
      mask.lineWidth = Math.max(1, this.size * this.scene.size[1]);
      mask.beginPath();
      mask.moveTo(...stroke.from);
      // A point is a line of no length, which browsers leave out.
      mask.lineTo(to[0] + 0.01, to[1]);
      mask.stroke();
    }
    stroke.from = to;
    if (!stroke.erases) this.empty = false;
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.settle(this.pixels());
    this.changed();
  }

  showBrush(event) {
    this.brush.hidden = this.tool === "cells" || event.pointerType === "touch";
    const { left, top } = this.grid.getBoundingClientRect();
    const scale = enlargement(this.grid);
    const across = this.size * this.grid.offsetWidth;
    const place = [(event.clientX - left) / scale, (event.clientY - top) / scale];
    for (const [name, length] of Object.entries({ left: place[0], top: place[1], width: across, height: across })) this.brush.style[name] = `${length}px`;
  }

  // --- Cells by the keyboard --------------------------------------------------------------------

  key(event) {
    if (event.key in MOVES) {
      const [down, across] = MOVES[event.key];
      const { rows, columns } = this.scene;
      this.at = [bounded(this.at[0] + down, 0, rows.length - 2), bounded(this.at[1] + across, 0, columns.length - 2)];
    } else if (event.key === " " || event.key === "Enter") {
      this.remember();
      this.fill(this.at, this.share(this.at) > 0.5);
      this.settle(this.pixels());
      this.changed();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.point(true);
  }

  // What readers of the screen say of the cell at the keyboard's place, and whether it is marked.
  point(marked) {
    if (!this.mask) return;
    const [row, column] = this.at;
    const share = this.share(this.at);
    const state = share === 0 ? "not painted" : share === 1 ? "painted" : "painted in part";
    const text = `Row ${row + 1}, column ${column + 1}: ${state}. Space changes it.`;
    const attributes = { role: "gridcell", id: `cell ${row} ${column}`, "aria-selected": share > 0.5, text };
    this.row.replaceChildren(element("div", "", null, attributes));
    this.grid.setAttribute("aria-activedescendant", `cell ${row} ${column}`);
    this.cursor.hidden = !marked;
    const [left, top, width, height] = this.place(this.at);
    const [high, wide] = this.scene.size;
    for (const [name, part] of Object.entries({ left: left / wide, top: top / high, width: width / wide, height: height / high })) this.cursor.style[name] = `${100 * part}%`;
  }

  // --- Painting ---------------------------------------------------------------------------------

  paint() {
    this.frame = null;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    if (!this.photo || !width || !height) return;
    const { context, density } = surface(this.canvas, width, height);
    context.drawImage(this.changedPhoto(width * density, height * density), 0, 0, width, height);
    if (!this.empty) context.drawImage(this.outline(width * density, height * density, EDGE * density), 0, 0, width, height);
  }

  // What the network gets. Without a stroke nothing is hidden, also where all but strokes is.
  changedPhoto(width, height) {
    const context = canvasOf(width, height);
    const place = [0, 0, width, height];
    context.imageSmoothingEnabled = !this.scene.pixelated;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.photo, ...place);
    if (this.empty) return context.canvas;
    const layer = canvasOf(width, height);
    layer.imageSmoothingEnabled = false;
    layer.drawImage(this.mask.canvas, ...place);
    layer.globalCompositeOperation = this.scene.keep ? "source-out" : "source-in";
    layer.imageSmoothingEnabled = !this.scene.pixelated;
    layer.drawImage(this.filling, ...place);
    context.drawImage(layer.canvas, 0, 0);
    return context.canvas;
  }

  // A white line around what is painted, with a dark one beside it, so that it is seen on any photo.
  outline(width, height, edge) {
    const ring = canvasOf(width, height);
    ring.imageSmoothingEnabled = false;
    for (const [colour, reach] of [
      ["#14202b", 2 * edge],
      ["#fff", edge],
    ]) {
      const line = canvasOf(width, height);
      line.imageSmoothingEnabled = false;
      for (const [x, y] of RING) line.drawImage(this.mask.canvas, x * reach, y * reach, width, height);
      line.globalCompositeOperation = "source-in";
      line.fillStyle = colour;
      line.fillRect(0, 0, width, height);
      ring.drawImage(line.canvas, 0, 0);
    }
    ring.globalCompositeOperation = "destination-out";
    ring.drawImage(this.mask.canvas, 0, 0, width, height);
    return ring.canvas;
  }
}
