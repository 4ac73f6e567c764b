// The photo, with the part that the network saw: that can be dragged.

import { element, number, put, write } from "./elements.js";
import { frame, paintPhoto, paintVeil } from "./frame.js";
import { bounded, surface } from "./pixels.js";

const CORNER = 18; // pixels of a bracket's arm
const ROUND = 10; // pixels of the picture's corners
const STEP = 0.05; // of the free space, with an arrow key
const SMALLEST = 7; // pixels of the box of a receptive field
const CUT = 252; // pixels of the enlarged receptive field
const CUT_SPACE = 62; // pixels above it

export class PhotoPanel {
  constructor(view, parent) {
    this.view = view;
    this.box = element("section", "photo", parent);
    element("h2", "head", this.box, { text: "Photo" });
    this.picture = element("div", "picture", this.box);
    this.canvas = element("canvas", "", this.picture, { role: "img" });
    this.handle = element("div", "handle", this.picture);
    this.field = element("div", "field", this.picture, { hidden: "" });
    this.caption = element("p", "caption", this.box);
    this.lines = this.box.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
    this.lines.setAttribute("class", "lines");
    this.cut = element("canvas", "cut", this.box, { hidden: "" });
    this.handle.addEventListener("pointerdown", (event) => this.grab(event));
    this.handle.addEventListener("keydown", (event) => this.key(event));
    this.handle.addEventListener("keyup", () => this.release());
    this.handle.addEventListener("blur", () => this.release());
  }

  load() {
    const { photo } = this.view.scene;
    this.seen = [...photo.seen];
    this.moved = false;
    this.canvas.setAttribute("aria-label", photo.label);
    const slider = { role: "slider", tabindex: 0, "aria-label": "The part that the network sees" };
    for (const [name, value] of Object.entries(slider)) {
      if (photo.free) this.handle.setAttribute(name, value);
      else this.handle.removeAttribute(name);
    }
    if (!photo.free) for (const name of ["now", "text"]) this.handle.removeAttribute(`aria-value${name}`);
    this.handle.classList.toggle("free", photo.free !== "");
    // A finger that moves along an axis that is not free scrolls the page.
    this.handle.style.touchAction = { x: "pan-y", y: "pan-x", xy: "none" }[photo.free] ?? "auto";
    this.showField(null);
  }

  layOut(size) {
    this.size = size;
    const { form, scene } = this.view;
    const { photo } = scene;
    const [rows, columns] = photo.input;
    const short = [["Photo", "strong"], [`, as ${rows} × ${columns}`, ""]];
    write(this.caption, form === "narrow" ? short : form === "present" ? [["Photo", "strong"]] : photo.caption);
    this.paint();
  }

  paint() {
    if (!this.size) return;
    const { view } = this;
    const { photo } = view.scene;
    this.frame = frame(photo, this.seen, this.size, this.view.cropped);
    put(this.picture, [0, 0, ...this.frame.size]);
    const { context, density } = surface(this.canvas, ...this.frame.size);
    const draw = (picture, place) => context.drawImage(picture, ...place);
    paintPhoto(context, view.picture, this.frame, photo.pixelated, density, draw);
    if (this.large) paintVeil(context, { size: this.frame.size, seen: this.frame.place(this.large.box) }, view.theme.colour("--ground"));
    else paintVeil(context, this.frame, view.theme.colour("--ground"));
    if (!this.view.cropped && !this.large) this.paintBrackets(context);
    put(this.handle, this.frame.seen);
    const percent = this.shares().filter((share) => share !== null).map((share) => Math.round(100 * share));
    if (!percent.length) return;
    this.handle.setAttribute("aria-valuenow", percent[0]);
    this.handle.setAttribute("aria-valuetext", percent.map((share) => `${share} %`).join(", "));
  }

  paintBrackets(context) {
    const [left, top, width, height] = this.frame.seen;
    // Within the rounded corners of the picture, where they reach them.
    const inset = this.frame.size[0] - width < 2 * ROUND && this.frame.size[1] - height < 2 * ROUND ? ROUND / 2 : 2;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const [colour, line] of [
      ["#fff", 4.5],
      [this.view.theme.colour("--accent"), 2.5],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      for (const [x, y, across, down] of [
        [left + inset, top + inset, 1, 1],
        [left + width - inset, top + inset, -1, 1],
        [left + inset, top + height - inset, 1, -1],
        [left + width - inset, top + height - inset, -1, -1],
      ]) {
        context.beginPath();
        context.moveTo(x + across * CORNER, y);
        context.lineTo(x, y);
        context.lineTo(x, y + down * CORNER);
        context.stroke();
      }
    }
  }

  // The shares of the free space left of what is seen, and above it; null where there is none.
  shares() {
    const { free } = this.view.scene.photo;
    return ["x", "y"].map((axis, at) => (free.includes(axis) ? bounded(this.seen[at] / (1 - this.seen[at + 2]), 0, 1) : null));
  }

  // Moves what is seen, by shares of the photo.
  move(across, down) {
    const { free } = this.view.scene.photo;
    for (const [at, [axis, by]] of [
      ["x", across],
      ["y", down],
    ].entries()) {
      if (!free.includes(axis) || !by) continue;
      const place = bounded(this.seen[at] + by, 0, 1 - this.seen[at + 2]);
      this.moved ||= place !== this.seen[at];
      this.seen[at] = place;
    }
    this.paint();
  }

  grab(event) {
    const { free } = this.view.scene.photo;
    if (!free || event.button) return;
    let [x, y] = [event.clientX, event.clientY];
    const sign = this.view.cropped ? -1 : 1;
    const follow = ({ clientX, clientY }) => {
      const [, , width, height] = this.frame.photo;
      this.move((sign * (clientX - x)) / width, (sign * (clientY - y)) / height);
      [x, y] = [clientX, clientY];
    };
    const end = () => {
      this.handle.removeEventListener("pointermove", follow);
      this.release();
    };
    this.handle.setPointerCapture(event.pointerId);
    this.handle.addEventListener("pointermove", follow);
    this.handle.addEventListener("lostpointercapture", end, { once: true });
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step || !this.view.scene.photo.free) return;
    event.preventDefault();
    this.move(...step.map((by, at) => by * STEP * (1 - this.seen[at + 2])));
  }

  release() {
    if (!this.moved) return;
    this.moved = false;
    // Where there is no free space any share is the same place.
    const [x, y] = this.shares().map((share) => share ?? 0.5);
    this.view.report({ action: "crop", x, y });
  }

  // Outlines a box, in shares of the photo, or none; `large` also shows it enlarged, with a caption.
  showField(box, { large = false, caption = [] } = {}) {
    const was = this.large;
    this.large = box && large ? { box } : null;
    this.field.hidden = !box;
    this.box.classList.toggle("large", Boolean(this.large));
    if (this.large || was) {
      this.paint();
      write(this.caption, caption);
      if (!this.large) this.layOut(this.size);
    }
    this.cut.hidden = !this.large;
    if (!box || !this.frame) return;
    const [left, top, width, height] = this.frame.place(box);
    const [across, down] = [Math.max(SMALLEST, width), Math.max(SMALLEST, height)];
    const place = [left + (width - across) / 2, top + (height - down) / 2, across, down];
    put(this.field, place);
    if (this.large) this.enlarge(place);
  }

  enlarge([left, top, width, height]) {
    const { photo } = this.view.scene;
    const [rows, columns] = photo.size;
    const { box } = this.large;
    const from = [box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows];
    const scale = Math.min(CUT / from[2], CUT / from[3]);
    const size = [from[2] * scale, from[3] * scale];
    const { context } = surface(this.cut, ...size);
    const { picture } = this.view;
    context.imageSmoothingEnabled = !photo.pixelated;
    const shrunk = picture ? picture.width / columns : 1;
    if (picture) context.drawImage(picture, ...from.map((length) => length * shrunk), 0, 0, ...size);
    const down = this.frame.size[1] + CUT_SPACE;
    this.lines.setAttribute("viewBox", `0 0 ${this.size[0]} ${down}`);
    Object.assign(this.lines.style, { width: `${this.size[0]}px`, height: `${down}px` });
    this.lines.innerHTML = [
      [left, 0],
      [left + width, size[0]],
    ]
      .map(([x, end]) => `<line x1="${number(x)}" y1="${top + height}" x2="${end}" y2="${down}" pathLength="1"/>`)
      .join("");
  }
}
