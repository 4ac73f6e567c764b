// The line under the wall: a node and a name for each step of the photo's way.

import { button, element, put } from "./elements.js";

const BELOW = 26; // pixels from the wall to the line
const HEIGHT = 79; // pixels of the axis

export class Axis {
  constructor(view, parent) {
    this.view = view;
    this.box = element("div", "axis", parent, { role: "group", "aria-label": "Steps" });
    this.line = element("div", "line", this.box);
    this.nodes = [];
  }

  load() {
    const { stages, units, terms } = this.view.scene;
    const parts = [...stages, ...units, ...(terms ? [terms] : [])];
    const names = JSON.stringify(parts.map(({ name, note, path }) => [name, note, path]));
    if (names !== this.names) {
      this.names = names;
      for (const { box } of this.nodes) box.remove();
      this.nodes = parts.map((part, at) => this.node(part, at + 1, parts.length));
    }
    this.mark();
  }

  node({ name, note, path }, step, count) {
    const box = element("div", "node", this.box);
    const go = () => this.view.player.go(step);
    const circle = button("circle", box, "", go, { "aria-label": `Step ${step} of ${count}: ${name}`, title: "Go to this step" });
    const open = () => (path === undefined ? go() : this.view.report({ action: "stage", name: path }));
    const hint = path === undefined ? "Go to this step" : `All channels of ${name}`;
    const label = button("name", box, name, open, { title: hint });
    const short = name.replace(/^(\d+) × \1$/, "$1²").replace(/ × /, "×");
    label.dataset.short = short;
    element("span", "note", box, { text: note });
    return { box, circle, label };
  }

  mark() {
    const { form, player } = this.view;
    for (const [at, { box, circle }] of this.nodes.entries()) {
      const here = at + 1 === player.step && (form !== "narrow" || player.begun);
      box.classList.toggle("here", here);
      circle.setAttribute("aria-current", here ? "step" : "false");
    }
  }

  // Below the columns, whose places are given.
  putBelow(places, top, width) {
    const present = this.view.form === "present";
    this.height = present ? 44 : HEIGHT;
    this.box.classList.remove("heads");
    put(this.line, [0, top + BELOW, width, 1.5]);
    for (const [at, { box }] of this.nodes.entries()) {
      const place = places[at];
      box.hidden = !place;
      if (!place) continue;
      const room = present ? place[2] + 20 : Math.max(place[2] + 16, 92);
      put(box, [place[0] + place[2] / 2 - room / 2, top + (present ? 8 : BELOW - 12), room, present ? 32 : 60]);
    }
  }

  // As heads of rows, whose places are given.
  putRows(places) {
    this.height = 0;
    this.box.classList.add("heads");
    for (const [at, { box }] of this.nodes.entries()) {
      box.hidden = !places[at];
      if (places[at]) put(box, places[at]);
    }
  }
}
