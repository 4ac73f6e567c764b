// The last column: what each channel, or unit, adds to the score of the chosen class.

import { CellGrid } from "./cell_grid.js";
import { element, put } from "./elements.js";
import { placeOf } from "./layout.js";
import { atlasOf, bounded, surface } from "./pixels.js";

const [PITCH, TILE, SUMS] = [30, 24, 50]; // pixels in a narrow window; of the two last lines
const CHARACTER = 7.5; // pixels of a figure
const MOST = 12;

// Decimals at which all of some values can be told apart.
export function decimals(values) {
  const largest = Math.max(...values.map(Math.abs));
  if (largest >= 10) return 1;
  return largest >= 0.1 || largest === 0 ? 2 : bounded(1 - Math.floor(Math.log10(largest)), 2, 8);
}

export function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return `${value < 0 ? "−" : "+"}${text}`;
}

// A bar from zero, in a width whose ends are the lowest and the highest value.
export function bar(value, low, high, width) {
  const scale = width / (high - low || 1);
  return { left: (Math.min(0, value) - low) * scale, width: Math.max(1, Math.abs(value) * scale) };
}

export class Terms {
  constructor(view, parent) {
    this.view = view;
    this.box = element("div", "terms", parent);
    this.canvas = element("canvas", "", this.box, { "aria-hidden": "true" });
    this.zero = element("div", "zero-line", this.box);
    this.lines = element("div", "", this.box);
    this.grid = new CellGrid(this.box, {
      sentence: (index) => this.sentence(index),
      open: (index) => this.open(index),
      hover: (index, _hit, event) => this.hover(index, event),
    });
    this.grid.element.classList.add("rows");
  }

  get terms() {
    return this.view.scene.terms;
  }

  load() {
    this.painted = null;
  }

  width() {
    return this.terms.maps ? 122 : 167;
  }

  // The rows of the chosen class: the number of a channel, its place in the list, its product.
  rows() {
    const { numbers, products, order } = this.terms;
    const { chosen } = this.view;
    const { values } = this.view.array(products);
    return order[chosen].slice(0, MOST).map((place) => ({
      place,
      channel: numbers[place],
      product: values[chosen * numbers.length + place],
    }));
  }

  // Its place; returns its height.
  put(place, narrow) {
    this.narrow = narrow;
    const rows = Math.max(...this.terms.order.map((one) => Math.min(MOST, one.length)));
    const height = narrow ? rows * PITCH + SUMS : place[3];
    this.place = [place[0], place[1], place[2], height];
    this.pitch = narrow ? PITCH : (height - SUMS) / MOST;
    put(this.box, this.place);
    this.sum = narrow ? rows * PITCH : height - SUMS;
    this.scoreLine = place[1] + this.sum + 39;
    this.build();
    return height;
  }

  // Rows, numbers and the sum, which adds up as it is shown: what rounding leaves is in the rest.
  build() {
    const [, , width] = this.place;
    const { view, pitch, terms } = this;
    this.shown = this.rows();
    const { rest, bias, score, maps } = terms;
    const products = this.shown.map(({ product }) => product);
    const digits = decimals(products);
    const texts = products.map((value) => signed(value, digits));
    const left = (maps ? 34 : 62) * (this.narrow ? 1 : view.scale);
    const right = width - 10 - CHARACTER * Math.max(5, ...texts.map((text) => text.length));
    const [low, high] = [Math.min(0, ...products), Math.max(0, ...products)];
    const range = right - left;
    const zero = left + bar(0, low, high, range).left;
    put(this.zero, [zero, this.narrow ? 0 : 2, 1, this.shown.length * pitch - (this.narrow ? 0 : 4)]);
    this.lines.replaceChildren();
    for (const [at, { channel, product }] of this.shown.entries()) {
      const line = element("div", "term", this.lines);
      put(line, [0, at * pitch, width, pitch]);
      if (!maps) element("span", "unit", line, { text: `unit ${channel}` });
      const made = element("div", `bar ${product < 0 ? "against" : "for"}`, line);
      const extent = bar(product, low, high, range);
      made.style.left = `${left + extent.left}px`;
      made.style.width = `${extent.width}px`;
      element("span", "number", line, { text: texts[at] });
    }
    const total = score[view.chosen];
    const remainder = texts.reduce((sum, _text, at) => sum - Number(products[at].toFixed(digits)), Number(total.toFixed(digits)));
    const exact = rest[view.chosen] + bias[view.chosen];
    for (const [name, text, top, label] of [
      ["sum", signed(remainder, digits), this.sum + 1, "rest and bias"],
      ["sum score", total.toFixed(digits).replace("-", "−"), this.sum + 25, "logit"],
    ]) {
      const line = element("div", `term ${name}`, this.lines, name === "sum" ? { title: `rest and bias: ${signed(exact, 4)}` } : {});
      put(line, [0, top, width, 28]);
      element("span", "unit", line, { text: label });
      element("span", "number", line, { text });
    }
    const tile = maps ? [(this.narrow ? TILE : 23 * view.scale), pitch - 4] : [left, pitch - 4];
    const edge = Math.min(...tile);
    this.tile = maps ? [edge, edge] : tile;
    const gap = pitch - this.tile[1];
    const at = [0, gap / 2, this.tile[0], this.shown.length * pitch - gap];
    this.tiles = { at, rows: this.shown.length, columns: 1, gap, tile: this.tile, shown: this.shown.length, strip: 0 };
    this.grid.put(this.tiles, `${terms.name}: ${terms.note}, for ${view.label}`);
  }

  // Another class.
  choose() {
    if (this.place && !this.box.hidden) this.build();
    this.paint();
  }

  paint() {
    if (this.box.hidden || !this.place) return;
    const { context, density } = surface(this.canvas, this.place[2], this.place[3]);
    const { terms } = this;
    if (!terms.maps) return;
    const values = this.view.array(terms.maps);
    this.painted ??= atlasOf({ values, limits: terms.limits }, this.view.theme.table(terms.colours));
    const { canvas, columns, width, height } = this.painted;
    context.imageSmoothingEnabled = this.tile[0] * density < width;
    for (const [at, { place }] of this.shown.entries()) {
      const [left, top, ...size] = placeOf(this.tiles, at);
      const from = [(place % columns) * width, Math.floor(place / columns) * height];
      context.save();
      context.beginPath();
      context.roundRect(left, top, ...size, 1);
      context.clip();
      context.drawImage(canvas, ...from, width, height, left, top, ...size);
      context.restore();
    }
  }

  sentence(index) {
    const { channel, product } = this.shown[index];
    const { unit } = this.terms;
    return `${unit} ${channel} adds ${signed(product, 3)} to ${this.view.label}`;
  }

  open(index) {
    const { unit, path: name } = this.terms;
    const { channel } = this.shown[index];
    if (name !== null) this.view.report({ action: unit === "unit" ? "cell" : "channel", name, channel });
  }

  hover(index, event) {
    if (index < 0 || !event) {
      this.view.tip.say(null);
      return;
    }
    const { channel, product } = this.shown[index];
    this.view.tip.say([signed(product, 3), `${this.terms.unit} ${channel} × its weight for ${this.view.label}`], event);
  }
}
