// What stands in place of the wall of maps: one value's arithmetic, a layer's channels, or one of
// them. walk.js gives the places, and takes the events; focus.py says what a content is.

import { arithmetic } from "./arithmetic.js";
import { drawn } from "./cells.js";
import { channel, channels } from "./channels.js";
import { button, element, isDark } from "./elements.js";
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
    const name = dark ? "f-view f-dark" : "f-view";
    this.root = element("div", name, host);
    this.right = element("div", `${name} f-beside`, aside);
    this.strip(frame.strip);
    this.trail();
    const head = element("div", "f-head", this.root);
    this.title = element("h2", "", head, { text: frame.title, tabindex: -1 });
    this.status = element("div", "f-status", head, { role: "status" });
    button("f-link", head, "All layers", () => api.home());
    if (frame.subtitle) element("p", "f-subtitle", this.root, { text: frame.subtitle });
    this.body = element("div", `f-body f-${kind.toLowerCase()}`, this.root);
    BODIES[kind](this);
    api.say(sentence ?? [[frame.title, ""]]);
    if (kind !== "Arithmetic") api.showField(null);
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
    this.root.classList.add("f-busy");
    this.right.classList.add("f-busy");
    this.status.textContent = "Computing …";
    const given = Object.entries(asked).filter(([, value]) => value !== null);
    this.api.report(Object.fromEntries(given));
  }

  settle() {
    this.root.classList.remove("f-busy");
    this.right.classList.remove("f-busy");
    this.status.textContent = "";
  }

  strip(tiles) {
    if (!tiles.length) return;
    const strip = element("div", "f-strip", this.root, { role: "group", "aria-label": "Layers" });
    for (const { path, name, note, values, limits, colours, here, opens } of tiles) {
      const tile = button(here ? "f-tile f-here" : "f-tile", strip, "", () => {
        tile.classList.add("f-asked");
        this.ask({ action: "stage", name: path });
      });
      if (here) tile.setAttribute("aria-current", "true");
      tile.setAttribute("aria-label", `${name} ${note}${path && `, ${path}`}`);
      tile.disabled = !opens;
      const picture = element("span", "f-picture", tile);
      if (values) picture.append(drawn(this.array(values), limits, this.table(colours)));
      const text = element("span", "f-text", tile);
      element("b", "", text, { text: name });
      element("span", "", text, { text: note });
    }
  }

  trail() {
    if (visited.length < 2) return;
    const trail = element("nav", "f-trail", this.root, { "aria-label": "Visited" });
    for (const [at, { label, asked }] of visited.entries()) {
      if (at) element("span", "", trail, { text: "→", "aria-hidden": "true" });
      if (at < visited.length - 1) button("f-link", trail, label, () => this.ask(asked));
      else element("span", "", trail, { text: label, "aria-current": "page" });
    }
    trail.scrollLeft = trail.scrollWidth;
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
  root.classList.add("f-failed");
  element("p", "f-problem", body, { text: content.text, role: "alert" });
  const back = visited.at(-2);
  if (back) button("f-action", body, "Back", () => view.ask(back.asked));
  button("f-action", body, "Try again", () => view.ask(content.frame.asked));
}
