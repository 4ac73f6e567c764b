// The colours of the page, and of the scales on it.

import { colourOf, element, isDark, number } from "./elements.js";
import { pixelTable } from "./pixels.js";

export class Theme {
  // `box` has the colours as CSS variables; `scene` has tables of 256 colours for each scale, for
  // light and for dark pages.
  constructor(box) {
    this.box = box;
    this.tables = new Map();
  }

  load(scene) {
    this.scene = scene;
    this.tables.clear();
  }

  colour(name) {
    return colourOf(this.box, name);
  }

  isDark() {
    return isDark(this.box);
  }

  values(name) {
    const dark = this.box.classList.contains("dark") ? 1 : 0;
    return this.scene.arrays[this.scene.tables[name][dark].array];
  }

  // A scale's colours as pixels.
  table(name) {
    if (!this.tables.has(name)) this.tables.set(name, pixelTable(this.values(name)));
    return this.tables.get(name);
  }

  gradient(name) {
    const { values } = this.values(name);
    const stops = Array.from({ length: 18 }, (_, at) => `rgb(${values.subarray(45 * at, 45 * at + 3)})`);
    return `linear-gradient(to right, ${stops})`;
  }

  // The colours of values between two limits, with texts for both ends; zero has a mark.
  buildLegend(parent, { colours, limits: [low, high] }, [name, first, last]) {
    parent.replaceChildren();
    element("span", "", parent, { text: `${name} ${first}`.trim() });
    this.buildRamp("span", parent, colours, low, high);
    element("span", "", parent, { text: last });
  }

  // The colours of the evidence, from the largest against a class to the largest for it.
  buildScale(parent, unit, limit) {
    const end = number(limit);
    parent.replaceChildren();
    parent.setAttribute("role", "img");
    parent.setAttribute("aria-label", `Colours: ${unit}, −${end} to +${end}`);
    this.buildRamp("div", parent, "blue-orange", -limit, limit);
    element("span", "low", parent, { text: `−${end}` });
    element("span", "middle", parent, { text: "0" });
    element("span", "high", parent, { text: `+${end}` });
  }

  buildRamp(kind, parent, colours, low, high) {
    const ramp = element(kind, "ramp", parent);
    ramp.style.background = this.gradient(colours);
    if (low < 0 && high > 0) element("span", "zero", ramp).style.left = `${(100 * -low) / (high - low)}%`;
  }
}
