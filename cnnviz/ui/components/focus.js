// What stands in place of the wall of maps: one value's arithmetic, a layer's channels, or one of
// them. walk.js gives the places, and takes the events; focus.py says what a content is.

import { arithmetic } from "./arithmetic.js";
import { drawn } from "./cells.js";
import { channel, channels } from "./channels.js";
import { button, element } from "./elements.js";
import { pixelTable } from "./pixels.js";

const BODIES = { Arithmetic: arithmetic, Channels: channels, Channel: channel, Failure: failure };

let view = null;
// What was visited on the way here, the first at the beginning.
let visited = [];

const sameEvent = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const sameMap = (one, other) =>
  one.action === other.action && one.name === other.name && one.channel === other.channel && one.action !== "stage";

// Shows a content in `host`, and what belongs to it in `api.aside`.
export function showFocus(host, message, api) {
  const dark = isDark(host);
  const shown = JSON.stringify([message.content, dark]);
  if (view?.host === host && view.shown === shown && view.root.isConnected) {
    Object.assign(view, { api });
    view.settle();
    return;
  }
  close();
  view = new View(host, message, api, dark);
  view.shown = shown;
}

// Leads back to the wall; what was visited is forgotten.
export function clearFocus() {
  close();
  visited = [];
}

function close() {
  if (!view) return;
  for (const end of view.ends) end();
  view.host.replaceChildren();
  view.aside.replaceChildren();
  view = null;
}

class View {
  constructor(host, message, api, dark) {
    const { aside } = api;
    Object.assign(this, { host, aside, message, api, dark, content: message.content, ends: [], layouts: [] });
    const { kind, frame, sentence } = this.content;
    visit(frame);
    const name = dark ? "focus dark" : "focus";
    this.root = element("div", name, host);
    this.right = element("div", `${name} beside`, aside);
    this.strip(frame.strip);
    this.trail();
    this.status = element("div", "status", this.root, { role: "status" });
    const head = element("div", "head", this.root);
    this.title = element("h2", "", head, { text: frame.title, tabindex: -1 });
    button("link", head, "All layers", () => api.home());
    if (frame.subtitle) element("p", "subtitle", this.root, { text: frame.subtitle });
    this.body = element("div", `body ${kind.toLowerCase()}`, this.root);
    BODIES[kind](this);
    const below = kind === "Channels" ? this.right : this.root;
    if (sentence) this.say(element("p", "sentence", below, { "aria-live": "polite" }), sentence);
    this.answer(frame.answer);
    if (kind !== "Arithmetic") api.showField(null);
    for (const box of [this.root, this.right]) box.addEventListener("keydown", (event) => this.key(event));
    const watch = new ResizeObserver(() => this.layOut());
    watch.observe(this.root);
    this.ends.push(() => watch.disconnect());
    this.layOut();
    this.title.focus({ preventScroll: true });
  }

  // Once more where the width is another one.
  layOut() {
    this.width = this.root.clientWidth;
    if (this.width) for (const layOut of this.layouts) layOut(this.width);
  }

  array(reference) {
    return reference && this.message.arrays[reference.array];
  }

  // A scale's colours for this theme, as pixels.
  table(name) {
    return pixelTable(this.array(this.message.tables[name][this.dark ? 1 : 0]));
  }

  // Asks the server for something else, and says so at once.
  ask(event) {
    const asked = { action: null, name: null, channel: null, row: null, column: null, ...event };
    if (sameEvent(asked, this.content.frame.asked) && this.content.kind !== "Failure") return;
    this.root.classList.add("busy");
    this.right.classList.add("busy");
    this.status.textContent = "Computing …";
    const given = Object.entries(asked).filter(([, value]) => value !== null);
    this.api.report(Object.fromEntries(given));
  }

  settle() {
    this.root.classList.remove("busy");
    this.right.classList.remove("busy");
    this.status.textContent = "";
  }

  key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    this.api.home();
  }

  // A text in parts, each with a style.
  say(parent, parts) {
    for (const [text, style] of parts) element("span", style, parent, { text });
  }

  strip(tiles) {
    if (!tiles.length) return;
    const strip = element("div", "strip", this.root, { role: "group", "aria-label": "Layers" });
    for (const { path, name, note, values, limits, colours, here, opens } of tiles) {
      const tile = button(here ? "tile here" : "tile", strip, "", () => {
        tile.classList.add("asked");
        this.ask({ action: "stage", name: path });
      });
      if (here) tile.setAttribute("aria-current", "true");
      tile.setAttribute("aria-label", `${name} ${note}${path && `, ${path}`}`);
      tile.disabled = !opens;
      const picture = element("span", "picture", tile);
      if (values) picture.append(drawn(this.array(values), limits, this.table(colours)));
      const text = element("span", "text", tile);
      element("b", "", text, { text: name });
      element("span", "", text, { text: note });
    }
  }

  trail() {
    if (visited.length < 2) return;
    const trail = element("nav", "trail", this.root, { "aria-label": "Visited" });
    for (const [at, { label, asked }] of visited.entries()) {
      if (at) element("span", "", trail, { text: "→", "aria-hidden": "true" });
      if (at < visited.length - 1) button("link", trail, label, () => this.ask(asked));
      else element("span", "", trail, { text: label, "aria-current": "page" });
    }
    trail.scrollLeft = trail.scrollWidth;
  }

  answer([label, share]) {
    if (!label) return;
    const box = element("div", "answer", this.right);
    element("div", "caption strong", box, { text: "Answer" });
    const line = element("div", "", box);
    element("b", "", line, { text: label });
    element("span", "", line, { text: share });
  }
}

// Another cell of the same map takes the place of the last one.
function visit({ asked, label }) {
  const before = visited.findIndex((one) => sameEvent(one.asked, asked));
  if (before >= 0) visited = visited.slice(0, before);
  else if (visited.length && sameMap(visited.at(-1).asked, asked)) visited.pop();
  visited.push({ asked, label });
}

function failure({ content, body, root }) {
  root.classList.add("failed");
  element("p", "problem", body, { text: content.text, role: "alert" });
  const back = visited.at(-2);
  if (back) button("action", body, "Back", () => view.ask(back.asked));
  button("action", body, "Try again", () => view.ask(content.frame.asked));
}

function isDark(host) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(host).getPropertyValue("--st-background-color").trim() || "#ffffff";
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(probe.fillStyle.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
