// A photo that is painted over, and the network's answer to each stroke. paint.py says what comes.

import { unpack } from "./data.js";
import { button, element, isDark } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { PaintCanvas } from "./paint_canvas.js";
import { surface } from "./pixels.js";
import { Theme } from "./theme.js";

const TOOLS = { brush: "Brush", eraser: "Eraser", cells: "Cells" };
const PLACES = ["Whole photo", "Changed photo"];

// The components of this page by key, and the answers to what they show.
const shown = new Map();
const answers = new Map();

export default function render({ data, parentElement, setTriggerValue }) {
  const scene = unpack(data.byteOffset % 4 ? data.slice() : data);
  if (scene.kind === "answer") {
    answers.set(scene.of, scene);
    shown.get(scene.of)?.answer(scene);
    return undefined;
  }
  parentElement.paint ??= new Paint(parentElement);
  const { paint } = parentElement;
  shown.set(scene.key, paint);
  paint.show(scene, (event) => setTriggerValue("event", { ...event, scene: scene.id }));
  return () => {
    if (shown.get(scene.key) === paint) shown.delete(scene.key);
  };
}

class Paint {
  constructor(root) {
    this.box = element("div", "paint", root);
    Object.assign(this, { tool: null, stamp: null, adopted: null, strokes: 0, theme: new Theme(this.box) });
    this.mount = Math.random().toString(36).slice(2);
    const left = element("div", "left", this.box);
    this.buildTools(left);
    this.board = new PaintCanvas(left, () => this.changed());
    const right = element("div", "right", this.box);
    this.says = element("p", "says", right, { role: "status" });
    this.list = element("div", "classes", right, { role: "group", "aria-label": "Class of the maps" });
    this.problem = element("p", "problem", right, { role: "alert" });
    const maps = element("div", "maps", right);
    this.maps = PLACES.map((place) => {
      const figure = element("figure", "", maps);
      const head = element("figcaption", "", figure);
      return { place, head, canvas: element("canvas", "", figure, { role: "img" }) };
    });
    const legend = element("div", "legend", maps);
    this.unit = element("p", "", legend);
    this.legend = element("div", "scale", legend);
    this.watch = new ResizeObserver(() => this.paintMaps());
    this.watch.observe(maps);
    const { documentElement: page } = document;
    const arrange = () => this.box.classList.toggle("present", page.dataset.present === "1");
    new MutationObserver(arrange).observe(page, { attributeFilter: ["data-present"] });
    arrange();
  }

  buildTools(parent) {
    const tools = element("div", "tools", parent, { role: "toolbar", "aria-label": "Painting" });
    const group = element("span", "group", tools, { role: "group", "aria-label": "Tool" });
    this.tools = Object.entries(TOOLS).map(([name, text]) => [name, button("", group, text, () => this.pick(name))]);
    const actions = element("span", "group", tools, { role: "group", "aria-label": "Change" });
    this.undo = button("", actions, "Undo", () => this.board.undo());
    button("", actions, "Clear", () => this.board.clear());
    button("", actions, "Invert", () => this.board.invert());
    const size = element("label", "size", tools, { text: "Size" });
    const slider = element("input", "", size, { type: "range", min: 2, max: 40, value: 12, "aria-valuetext": "12 % of the photo" });
    slider.addEventListener("input", () => {
      this.board.size = slider.value / 100;
      slider.setAttribute("aria-valuetext", `${slider.value} % of the photo`);
    });
    this.size = size;
  }

  pick(name) {
    this.choose(name);
    this.send({ action: "tool", name });
  }

  choose(name) {
    this.tool = name;
    this.board.tool = name;
    for (const [tool, one] of this.tools) one.setAttribute("aria-pressed", tool === name);
    this.size.classList.toggle("unused", name === "cells");
  }

  async show(scene, send) {
    const former = this.scene;
    Object.assign(this, { scene, send });
    this.theme.load(scene);
    const files = [scene.pixels, scene.filling].map(({ array }) => new Blob([scene.arrays[array].values]));
    const [photo, filling] = await Promise.all(files.map((file) => createImageBitmap(file)));
    if (this.scene !== scene) return; // Another one has come meanwhile.
    if (this.tool === null) this.choose(scene.tool);
    if (former?.id !== scene.id) Object.assign(this, { stamp: null, adopted: null });
    this.board.load(scene, photo, filling);
    this.undo.disabled = !this.board.undone.length;
    const told = answers.get(scene.key);
    if (told) this.answer(told);
  }

  changed() {
    this.strokes += 1;
    this.stamp = `${this.mount} ${this.strokes}`;
    this.undo.disabled = !this.board.undone.length;
    this.box.classList.add("waiting");
    const mask = btoa(Array.from(this.board.bits(), (byte) => String.fromCharCode(byte)).join(""));
    this.send({ action: "paint", stamp: this.stamp, mask });
  }

  // A painting of the server's is taken once: what is painted since is newer.
  adopt({ stamp, mask, arrays }) {
    const isNew = this.stamp === null || (stamp.startsWith("server") && stamp !== this.adopted);
    if (!isNew) return;
    if (this.stamp !== null) this.board.remember();
    if (stamp.startsWith("server")) this.adopted = stamp;
    this.stamp = stamp;
    this.board.take(arrays[mask.array].values);
    this.undo.disabled = !this.board.undone.length;
  }

  answer(answer) {
    if (!this.board.scene || answer.id !== this.scene.id) return;
    this.adopt(answer);
    if (answer.stamp !== this.stamp) return;
    this.box.classList.remove("waiting");
    this.box.classList.toggle("dark", isDark(this.box));
    this.problem.textContent = answer.problem;
    if (answer.problem) return;
    this.told = answer;
    if (this.says.textContent !== answer.sentence) this.says.textContent = answer.sentence;
    this.listClasses(answer);
    this.unit.textContent = `Evidence for ${answer.target}, on one scale`;
    this.theme.buildScale(this.legend, `evidence for ${answer.target}`, answer.limit);
    this.paintMaps();
    this.box.dataset.painted = answer.stamp;
  }

  listClasses({ classes, target }) {
    // The rows stay, so that the keyboard's place is not lost.
    while (this.list.childElementCount > classes.length) this.list.lastChild.remove();
    for (const [at, { label, before, after, texts }] of classes.entries()) {
      const row = this.list.children[at] ?? button("class", this.list, "", () => this.send({ action: "class", name: row.name }));
      row.name = label;
      row.setAttribute("aria-pressed", label === target);
      row.setAttribute("aria-label", `${label}: ${texts[0]} for the whole photo, ${texts[1]} for the changed one`);
      row.replaceChildren();
      element("span", "name", row, { text: label });
      const bars = element("span", "bars", row);
      element("span", "before", bars).style.width = `${100 * before}%`;
      element("span", "after", bars).style.width = `${100 * after}%`;
      for (const [which, name] of ["was", "is", "change"].entries()) element("span", name, row, { text: texts[which] });
    }
  }

  paintMaps() {
    const answer = this.told;
    if (!answer?.maps || !this.board.photo) return;
    const { values, shape } = answer.arrays[answer.maps.array];
    const [, h, w] = shape;
    const [height, width] = this.scene.size;
    for (const [at, { place, head, canvas }] of this.maps.entries()) {
      const across = canvas.parentElement.clientWidth;
      if (!across) return; // Out of the page just now.
      const down = (across * height) / width;
      const { context, density } = surface(canvas, across, down);
      const size = [Math.round(down * density), Math.round(across * density)];
      const picture = at ? this.board.changedPhoto(size[1], size[0]) : this.board.photo;
      context.imageSmoothingEnabled = !this.scene.pixelated;
      paintGrey(context, picture, [0, 0, across, down]);
      const map = values.subarray(at * h * w, (at + 1) * h * w);
      const drawn = { values: map, h, w, limit: answer.limit, table: this.theme.table("blue-orange"), size, contours: [0.2, 0.4, 0.6] };
      paintEvidence(context, evidence(drawn), [0, 0, across, down], 1);
      head.textContent = place;
      canvas.setAttribute("aria-label", `${place}: the evidence for ${answer.target}`);
    }
  }
}
