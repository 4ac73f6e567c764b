// Draws a network as tiles in rows, one band a resolution, with an arc for each connection that
// skips layers, and reports clicks. The browser lays out the rows; the arcs are measured then.
// diagrams.py says what is in a diagram.

import { element, isDark, shape } from "./elements.js";
import { enlargement, showBeside } from "./page.js";

const LANE = 5; // pixels between two arcs over one row
const ABOVE = 7; // pixels between a row of tiles and the first arc

export default function render({ data, parentElement, setTriggerValue }) {
  parentElement.map ??= new NetworkMap(parentElement);
  const { map } = parentElement;
  map.send = (path) => setTriggerValue("event", { name: map.data.name, path });
  map.show(data);
  return () => map.watch.disconnect();
}

class NetworkMap {
  constructor(root) {
    this.box = element("div", "map", root);
    this.bar = element("div", "bar", this.box);
    this.panel = element("div", "panel", this.box, { role: "group", "aria-label": "Layers of the network" });
    this.tip = element("div", "tip", this.box, { hidden: "", "aria-hidden": "true" });
    this.watch = new ResizeObserver(() => Math.round(this.panel.clientWidth) !== this.width && this.draw());
    this.panel.addEventListener("click", ({ target }) => this.click(target.closest("button")));
    this.panel.addEventListener("keydown", (event) => this.key(event));
    this.panel.addEventListener("focusin", ({ target }) => this.focus(target));
    this.panel.addEventListener("pointerover", (event) => this.say(event));
    this.panel.addEventListener("pointerleave", () => this.say(null));
  }

  show(data) {
    const shown = JSON.stringify({ ...data, selected: null });
    const dark = isDark(this.box);
    this.data = data;
    this.watch.observe(this.panel);
    if (shown !== this.shown || dark !== this.dark) {
      if (data.name !== this.name) this.opened = new Set();
      if (data.name !== this.name) this.folded = data.folded;
      Object.assign(this, { shown, dark, name: data.name });
      this.build();
    }
    this.select(data.selected);
  }

  // --- Elements -----------------------------------------------------------------------------

  build() {
    this.box.classList.toggle("dark", this.dark);
    this.box.classList.toggle("named", this.data.named);
    for (const { key, light, dark } of this.data.families) {
      this.box.style.setProperty(`--${key}`, this.dark ? dark : light);
    }
    this.buildBar();
    this.panel.replaceChildren();
    // The element of each tile: itself, or the block in which it is folded.
    this.places = [];
    for (const section of this.data.sections) this.buildSection(section);
    this.lines = shape("svg", this.panel, { class: "lines", "aria-hidden": "true" });
    this.draw();
  }

  buildBar() {
    this.bar.replaceChildren();
    const legend = element("ul", "legend", this.bar, { "aria-label": "Colours" });
    for (const { key, title } of this.data.families) {
      const item = element("li", "", legend);
      element("span", "swatch", item).style.background = `var(--${key})`;
      item.append(title);
    }
    const branches = this.data.sections.some(({ bands }) => bands.some(({ blocks }) => blocks.some((b) => b.branches)));
    if (!branches) return;
    const fold = element("button", "fold", this.bar, { type: "button", text: this.folded ? "Open blocks" : "Fold blocks" });
    fold.addEventListener("click", () => {
      Object.assign(this, { folded: !this.folded, opened: new Set() });
      this.build();
      this.select(this.selected);
    });
  }

  buildSection({ path, title, bands }) {
    const section = element("div", path ? "section nested" : "section", this.panel);
    if (path) this.button("caption", section, `Inside ${title}`, path, [title]);
    for (const { size, note, blocks } of bands) {
      const band = element("div", "band", section, { role: "group", "aria-label": `${size}, ${note}` });
      const head = element("div", "head", band);
      element("div", "size", head, { text: size });
      element("div", "note", head, { text: note });
      const flow = element("div", "flow", band);
      for (const block of blocks) this.buildBlock(block, flow);
    }
  }

  buildBlock({ name, units, branches }, flow) {
    const tiles = units.flat();
    const last = this.data.tiles[tiles.at(-1)];
    const box = element("span", branches ? "block branches" : "block", flow);
    if (this.folded && branches && !this.opened.has(last.path)) {
      const lines = [name, `${tiles.length} layers: click to open them`];
      const folded = this.button("folded", box, name, last.path, lines);
      const strip = element("span", "strip", folded);
      for (const tile of tiles) {
        element("span", "", strip).style.background = `var(--${this.data.tiles[tile].family})`;
        this.places[tile] = folded;
      }
      return;
    }
    for (const unit of units) {
      const group = element("span", "unit", box);
      for (const tile of unit) {
        const { path, family, text, lines, height } = this.data.tiles[tile];
        const drawn = this.button(text ? "tile" : "tile slim", group, text, path, lines);
        drawn.style.height = `${height}px`;
        drawn.style.background = `var(--${family})`;
        this.places[tile] = drawn;
      }
    }
  }

  button(className, parent, text, path, lines) {
    const label = lines.join(", ");
    const made = element("button", className, parent, { type: "button", text, tabindex: -1, "aria-label": label });
    Object.assign(made, { path, lines });
    return made;
  }

  // --- Selection and keyboard ---------------------------------------------------------------

  get buttons() {
    return [...this.panel.querySelectorAll("button")];
  }

  select(path) {
    this.selected = path;
    const tile = this.data.tiles.findIndex((one) => one.path === path);
    const place = tile < 0 ? this.buttons.find((one) => one.path === path) : this.places[tile];
    // Of a folded block only its last layer is there: it opens for the others.
    if (place?.classList.contains("folded") && place.path !== path) return this.open(place, path);
    for (const one of this.buttons) {
      const chosen = one === place;
      one.classList.toggle("selected", chosen);
      one.setAttribute("aria-pressed", chosen);
      one.tabIndex = chosen ? 0 : -1;
    }
    if (!place) (this.buttons[0] ?? {}).tabIndex = 0;
    else if (place !== this.panel.getRootNode().activeElement) this.reveal(place);
    this.drawLines();
  }

  // Opens a folded block, and goes on at one of its layers.
  open(folded, path) {
    this.opened.add(folded.path);
    const focused = this.panel.getRootNode().activeElement === folded;
    this.build();
    this.select(path);
    if (focused) this.panel.querySelector(".selected")?.focus();
  }

  // Scrolls the panel alone, not the page.
  reveal(place) {
    const [outer, inner] = [this.panel.getBoundingClientRect(), place.getBoundingClientRect()];
    if (inner.top >= outer.top && inner.bottom <= outer.bottom) return;
    this.panel.scrollTop += inner.top - outer.top - outer.height / 2;
  }

  click(button) {
    if (!button) return;
    if (button.classList.contains("folded")) this.open(button, button.path);
    else this.select(button.path);
    this.send(button.path);
    showBeside();
  }

  focus(button) {
    for (const one of this.buttons) one.tabIndex = one === button ? 0 : -1;
    this.say({ target: button });
  }

  key(event) {
    const { buttons } = this;
    const at = buttons.indexOf(event.target);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 };
    const next = event.key in steps ? buttons[steps[event.key]] : this.beside(event.target, event.key);
    if (next === undefined) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    this.reveal(next);
  }

  // The nearest button in the row above or below.
  beside(from, key) {
    if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
    const down = key === "ArrowDown";
    const [x, y] = middle(from);
    const ahead = this.buttons.filter((one) => (down ? middle(one)[1] > y + 20 : middle(one)[1] < y - 20));
    const distance = (one) => 10 * Math.abs(middle(one)[1] - y) + Math.abs(middle(one)[0] - x);
    return ahead.reduce((best, one) => (best && distance(best) <= distance(one) ? best : one), undefined) ?? from;
  }

  // --- Lines --------------------------------------------------------------------------------

  draw() {
    this.width = Math.round(this.panel.clientWidth);
    if (this.width) this.drawLines();
  }

  drawLines() {
    if (!this.lines) return;
    this.lines.replaceChildren();
    const outer = this.rectangle(this.panel);
    const shift = [this.panel.scrollLeft - outer.left, this.panel.scrollTop - outer.top];
    const places = new Map();
    for (const place of new Set(this.places)) {
      const { left, right, top, bottom, height } = this.rectangle(place);
      const flow = this.rectangle(place.closest(".flow"));
      const y = top + height / 2 + shift[1];
      places.set(place, { left: left + shift[0], right: right + shift[0], top: top + shift[1], bottom: bottom + shift[1], y, edge: flow.right + shift[0], start: flow.left + shift[0] });
    }
    const skips = [];
    for (const [tile, { inputs }] of this.data.tiles.entries()) {
      for (const input of inputs) {
        const [from, to] = [this.places[input], this.places[tile]];
        if (from === to) continue;
        if (input === tile - 1) this.wire(places.get(from), places.get(to));
        else skips.push({ input, tile, from, to, path: this.data.tiles[tile].path });
      }
    }
    this.drawSkips(skips, places);
    this.lines.setAttribute("width", this.panel.clientWidth);
    this.lines.setAttribute("height", this.panel.scrollHeight);
  }

  // Where an element is, in pixels of the page: one that is presented is enlarged.
  rectangle(one) {
    const scale = enlargement(this.panel);
    const { x, y, width, height } = one.getBoundingClientRect();
    return new DOMRect(x / scale, y / scale, width / scale, height / scale);
  }

  // From a tile to the next one; into the next row from its start.
  wire(from, to) {
    if (Math.abs(from.y - to.y) < 2) this.line(`M${from.right} ${from.y}H${to.left}`, "wire");
    else {
      this.line(`M${from.right} ${from.y}h5`, "wire");
      this.line(`M${to.left - 6} ${to.y}h6`, "wire");
    }
  }

  // Arcs over the tiles that they skip, each in the lowest lane that is free there. One that comes
  // from the tile before a block begins at that block.
  drawSkips(skips, places) {
    const taken = [];
    const far = [];
    for (const skip of skips.toSorted((a, b) => a.tile - a.input - (b.tile - b.input))) {
      const [from, to] = [places.get(skip.from), places.get(skip.to)];
      const lit = this.selected === skip.path || this.selected === this.data.tiles[skip.input].path;
      const next = places.get(this.places[skip.input + 1]);
      const same = (place) => place && Math.abs(place.y - to.y) < 2;
      if (same(from) || same(next)) {
        const x = same(next) ? next.left - 5 : from.right + 4;
        const end = (to.left + to.right) / 2;
        const free = (lane) => !taken.some((one) => one.y === Math.round(to.y) && one.lane === lane && one.x < end + 4 && x - 4 < one.end);
        let lane = 0;
        while (!free(lane)) lane++;
        taken.push({ y: Math.round(to.y), lane, x, end });
        const top = to.y - 22 - ABOVE - lane * LANE;
        this.line(`M${x} ${to.y}V${top + 5}q0-5 5-5H${end - 5}q5 0 5 5V${to.top - 1}`, lit ? "skip lit" : "skip", true);
      } else far.push({ from, to, lit });
    }
    // Between rows: along the right side, the longest outside.
    for (const [at, { from, to, lit }] of far.entries()) {
      const edge = Math.max(from.edge, to.edge) - 3 - ((far.length - 1 - at) % 6) * LANE;
      const [start, end] = [(from.left + from.right) / 2, (to.left + to.right) / 2];
      const [high, low] = [from.y - 22 - ABOVE, to.y - 22 - ABOVE];
      this.line(`M${start} ${from.top}V${high}H${edge}V${low}H${end}V${to.top - 1}`, lit ? "skip lit" : "skip", true);
    }
  }

  line(path, name, arrow = false) {
    shape("path", this.lines, { d: path, class: name });
    if (!arrow) return;
    const [x, y] = path.match(/H([\d.-]+)(?:q5 0 5 5)?V([\d.-]+)$/).slice(1).map(Number);
    const tip = path.includes("q5 0 5 5") ? x + 5 : x;
    shape("path", this.lines, { d: `M${tip - 3} ${y - 4}L${tip} ${y}L${tip + 3} ${y - 4}`, class: name });
  }

  // --- Tooltip ------------------------------------------------------------------------------

  say(event) {
    const button = event?.target.closest?.("button");
    this.tip.hidden = !button?.lines;
    if (this.tip.hidden) return;
    this.tip.replaceChildren(...button.lines.map((text, at) => element(at ? "div" : "strong", "", null, { text })));
    const [outer, at] = [this.rectangle(this.box), this.rectangle(button)];
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const left = Math.min(at.left - outer.left, outer.width - width);
    const below = at.bottom - outer.top + 10;
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${below + height > outer.height ? at.top - outer.top - 10 - height : below}px`;
  }
}

function middle(one) {
  const { left, top, width, height } = one.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}
