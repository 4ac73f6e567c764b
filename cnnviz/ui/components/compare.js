// Two classes: their maps on one scale, and the channels that decide between them.

import { button, element, put } from "./elements.js";
import { frame } from "./frame.js";
import { MapView } from "./map_view.js";
import { atlasOf, surface } from "./pixels.js";
import { bar, signed } from "./terms.js";

const LISTED = 5; // channels for each class
const [PITCH, TILE, TOP, BETWEEN] = [30.5, 26, 24, 14]; // pixels
const GAP = 16; // pixels between the maps

export class Compare {
  constructor(view, middle, side) {
    this.view = view;
    this.box = element("section", "two", middle, { "aria-label": "Two classes compared" });
    const head = element("div", "head", this.box);
    element("h2", "", head, { text: "Evidence on one scale" });
    button("link", head, "All layers", () => view.home());
    const maps = element("div", "maps", this.box);
    this.sides = [0, 1].map((at) => {
      const box = element("div", "side", maps);
      const headline = element("div", "headline", box);
      const label = element("span", "label", headline);
      const share = element("span", "share", headline);
      return { label, share, map: new MapView(view, box, () => view.compared[at]) };
    });
    this.scale = element("div", "scale", this.box);
    this.channels = element("section", "deciding", side);
  }

  load() {
    for (const { map } of this.sides) map.load();
    const { unit, limit } = this.view.scene;
    this.view.theme.buildScale(this.scale, unit, limit);
    this.painted = null;
  }

  layOut(width, side) {
    const { view } = this;
    const { photo, classes } = view.scene;
    const across = (width - (view.form === "narrow" ? 8 : GAP)) / 2;
    const place = frame(photo, photo.seen, [across, across], view.cropped);
    for (const [at, { label, share, map }] of this.sides.entries()) {
      const one = classes[view.compared[at]];
      label.textContent = one.label;
      share.textContent = one.answer;
      map.put(place);
    }
    this.paint();
    this.buildChannels(side);
  }

  paint() {
    for (const [at, { map }] of this.sides.entries()) map.paint([[this.view.compared[at], 1]]);
  }

  // Of the channels in the list those that speak most for each of the two.
  buildChannels(width) {
    const { terms, classes } = this.view.scene;
    this.channels.replaceChildren();
    this.channels.hidden = !terms;
    if (!terms) return;
    const { numbers, maps, unit } = terms;
    const names = this.view.compared.map((which) => classes[which].label);
    element("h2", "head", this.channels, { text: `${unit[0].toUpperCase()}${unit.slice(1)}s that decide` });
    const text = `${unit[0].toUpperCase()}${unit.slice(1)} × weight: those that speak most for ${names[0]} and for ${names[1]}, at most ${LISTED} each.`;
    element("p", "caption", this.channels, { text });
    const { values } = this.view.array(terms.products);
    const product = (side, place) => values[this.view.compared[side] * numbers.length + place];
    const most = (side) =>
      [...numbers.keys()]
        .filter((place) => product(side, place) > 0)
        .toSorted((one, other) => product(side, other) - product(side, one))
        .slice(0, LISTED);
    const groups = [0, 1].map(most);
    const all = groups.flat().flatMap((place) => [product(0, place), product(1, place)]);
    const [low, high] = [Math.min(0, ...all), Math.max(0, ...all)];
    const chart = element("div", "chart", this.channels);
    const left = maps ? 38 : 66;
    const range = (width - left - 12) / 2;
    const zero = bar(0, low, high, range).left;
    const atlas = maps && this.atlas();
    let top = TOP;
    for (const [at, name] of names.entries()) {
      const x = left + at * (range + 12);
      element("span", "of", chart, { text: name }).style.left = `${x + zero}px`;
      put(element("div", "zero-line", chart), [x + zero, top, 1.5, (groups[0].length + groups[1].length) * PITCH + BETWEEN]);
    }
    for (const group of groups) {
      for (const place of group) {
        const line = element("div", "line", chart);
        put(line, [0, top, width, PITCH]);
        const both = [0, 1].map((side) => product(side, place));
        const label = `${unit} ${numbers[place]}: ${names.map((name, at) => `${signed(both[at], 2)} for ${name}`).join(", ")}`;
        for (const [name, value] of [["role", "img"], ["aria-label", label], ["title", label]]) line.setAttribute(name, value);
        if (maps) this.paintTile(element("canvas", "", line), atlas, place);
        else element("span", "unit", line, { text: `unit ${numbers[place]}` });
        for (const [at, value] of both.entries()) {
          const extent = bar(value, low, high, range);
          const made = element("div", `bar ${value < 0 ? "against" : "for"}`, line);
          made.style.left = `${left + at * (range + 12) + extent.left}px`;
          made.style.width = `${extent.width}px`;
        }
        top += PITCH;
      }
      top += BETWEEN;
    }
    chart.style.height = `${top}px`;
  }

  atlas() {
    const { maps, limits, colours } = this.view.scene.terms;
    this.painted ??= atlasOf({ values: this.view.array(maps), limits }, this.view.theme.table(colours));
    return this.painted;
  }

  paintTile(canvas, atlas, place) {
    const { context } = surface(canvas, TILE, TILE);
    context.imageSmoothingEnabled = false;
    const from = [(place % atlas.columns) * atlas.width, Math.floor(place / atlas.columns) * atlas.height];
    context.drawImage(atlas.canvas, ...from, atlas.width, atlas.height, 0, 0, TILE, TILE);
  }
}
