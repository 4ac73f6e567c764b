// The answer: the class, its probability, the other classes, and the evidence over the photo.

import { button, element, number, write } from "./elements.js";
import { MapView } from "./map_view.js";
import { bounded } from "./pixels.js";

const FADE = 120; // milliseconds
const HEADLINE = 76; // pixels of its height
const SIZES = [76, 68, 60, 52, 46]; // pixels of a class beside its probability
const LONG = [37, 33, 29, 25, 21]; // before it, on two lines
const CHIPS = 86; // pixels of chips on two lines; where there are more they are rows of a list

export class Answer {
  constructor(view, parent) {
    this.view = view;
    this.box = element("section", "answer", parent);
    element("h2", "head", this.box, { text: "Answer" });
    this.headline = element("div", "headline", this.box);
    this.label = element("span", "label", this.headline);
    this.share = element("span", "share", this.headline);
    this.chips = element("div", "chips", this.box, { role: "group", "aria-label": "Classes" });
    this.evidence = element("section", "evidence", parent);
    this.map = new MapView(view, this.evidence, () => view.chosen);
    this.short = element("p", "short", this.evidence);
    this.scale = element("div", "scale", this.evidence);
    this.caption = element("p", "caption", this.evidence);
    this.compare = button("link compare", parent, "", () => view.compareWith(this.other()));
  }

  load() {
    const { classes, more, limit } = this.view.scene;
    this.map.load();
    buildScale(this.scale, this.view, limit);
    const shown = JSON.stringify([classes.map(({ label, share }) => [label, share]), more]);
    if (shown !== this.built) {
      this.built = shown;
      this.buildChips(classes, more);
    }
    this.say();
  }

  buildChips(classes, more) {
    this.chips.replaceChildren();
    for (const [index, { label, share }] of classes.entries()) {
      const chip = button("chip", this.chips, "", (event) => {
        if (event.shiftKey && index !== this.view.chosen) this.view.compareWith(index);
        else this.view.choose(index);
      });
      element("span", "name", chip, { text: label });
      if (share) element("span", "percent", chip, { text: share });
    }
    if (more) button("link more", this.chips, `${more.toLocaleString("en")} more`, () => this.view.report({ action: "class" }));
  }

  // The class that is compared with the chosen one.
  other() {
    return this.view.chosen === 0 ? 1 : 0;
  }

  say() {
    const { chosen, scene, answered } = this.view;
    const { label, share, caption } = scene.classes[chosen];
    this.label.textContent = answered ? label : "?";
    this.share.textContent = answered ? share : "";
    write(this.short, [[answered ? `Evidence for ${label}` : "Evidence", "strong"]]);
    write(this.caption, answered ? caption : []);
    for (const box of [this.box, this.evidence]) box.classList.toggle("veiled", !answered);
    for (const [index, chip] of [...this.chips.querySelectorAll(".chip")].entries()) {
      chip.setAttribute("aria-pressed", index === chosen);
    }
    this.compare.hidden = scene.classes.length < 2 || !answered;
    if (!this.compare.hidden) this.compare.textContent = `Compare ${label} | ${scene.classes[this.other()].label}`;
    this.fit();
  }

  layOut(width, place) {
    this.width = width;
    this.fit();
    this.chips.classList.remove("list");
    this.chips.classList.toggle("list", this.view.form === "wide" && this.chips.offsetHeight > CHIPS);
    this.map.put(place);
    this.paint();
  }

  // Makes a long class small enough: beside its probability, or else on two lines, so that what is
  // below stays where it is.
  fit() {
    const { headline } = this;
    if (!this.width) return;
    const fits = () => headline.scrollHeight <= HEADLINE && headline.scrollWidth <= this.width;
    for (const [long, sizes] of this.view.form === "present" ? [] : [[false, SIZES], [true, LONG]]) {
      headline.classList.toggle("long", long);
      for (const size of sizes) {
        headline.style.fontSize = `${size}px`;
        if (fits()) return;
      }
    }
    if (this.view.form === "present") headline.style.fontSize = "";
  }

  paint(strengths = [[this.view.chosen, 1]]) {
    this.map.paint(this.view.answered ? strengths : []);
  }

  // Another class: its map fades in.
  choose(from) {
    this.say();
    if (this.map.frame) this.map.put(this.map.frame);
    const { chosen, still } = this.view;
    const start = performance.now();
    const step = (now) => {
      const share = bounded((now - start) / FADE, 0, 1);
      if (this.view.chosen !== chosen) return;
      this.paint([...(share < 1 ? [[from, 1 - share]] : []), [chosen, share]]);
      if (share < 1) requestAnimationFrame(step);
    };
    if (still) this.paint();
    else step(start);
  }
}

// The colours of the evidence, from the largest against a class to the largest for it.
export function buildScale(parent, view, limit) {
  const end = number(limit);
  parent.replaceChildren();
  parent.setAttribute("role", "img");
  parent.setAttribute("aria-label", `Colours: ${view.scene.unit}, −${end} to +${end}`);
  const ramp = element("div", "ramp", parent);
  ramp.style.background = view.gradient("blue-orange");
  element("span", "zero", ramp).style.left = "50%";
  for (const [name, text] of [
    ["low", `−${end}`],
    ["middle", "0"],
    ["high", `+${end}`],
  ])
    element("span", name, parent, { text });
}
