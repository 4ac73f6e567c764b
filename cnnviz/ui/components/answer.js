// The answer: the class, its probability, the other classes, and the evidence over the photo.

import { button, element, write } from "./elements.js";
import { MapView } from "./map_view.js";
import { bounded } from "./pixels.js";

const FADE = 120; // milliseconds
const PRESENTED = { size: 148 / 76, headline: 162, chips: 130 }; // times the size of a class; pixels
const [OPENED, OPENED_HEIGHT] = [0.5, 48]; // beside something that was opened
const HEADLINE = 88; // pixels of its height, at most
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
    const { classes, more, limit, unit } = this.view.scene;
    this.map.load();
    this.view.theme.buildScale(this.scale, unit, limit);
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
    const { label, answer, caption } = scene.classes[chosen];
    this.label.textContent = answered ? label : "?";
    this.share.textContent = answered ? answer : "";
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
    this.arrangeChips();
    this.map.put(place);
    this.paint();
  }

  // Where there is no room for all chips they are the rows of a list, or a few of them.
  arrangeChips() {
    const { form, scale } = this.view;
    const { classList } = this.chips;
    classList.remove("list", "few");
    if (form === "wide") classList.toggle("list", this.chips.offsetHeight > CHIPS);
    if (form === "present") classList.toggle("few", this.chips.scrollHeight > PRESENTED.chips * scale);
    this.fit();
  }

  // Makes a long class small enough: beside its probability, or else on two lines, so that what is
  // below stays where it is.
  fit() {
    const { headline, view } = this;
    const small = view.opened.message ? OPENED : 1;
    const fitted = [this.label.textContent, this.share.textContent, this.width, view.form, view.scale, small].join("|");
    if (!this.width || fitted === this.fitted) return;
    this.fitted = fitted;
    const present = view.form === "present";
    const [scale, height] = present ? [PRESENTED.size * view.scale, PRESENTED.headline * view.scale] : [small, small < 1 ? OPENED_HEIGHT : HEADLINE];
    const width = () => (present ? headline.clientWidth : this.width);
    for (const [long, sizes] of [
      [false, SIZES],
      [true, LONG],
    ]) {
      headline.classList.toggle("long", long);
      for (const size of sizes) {
        headline.style.fontSize = `${size * scale}px`;
        if (headline.scrollHeight <= height && headline.scrollWidth <= width()) return;
      }
    }
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
