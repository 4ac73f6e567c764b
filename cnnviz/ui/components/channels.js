// All channels of a layer, and one of them beside the filter that made it.

import { bar, cellGrid, cellMap, decimals, fixed, legend } from "./cells.js";
import { button, element } from "./elements.js";
import { packRgb, pixelCanvas } from "./pixels.js";
import render from "./viewer.js";

const TILE = 64; // pixels of a small kernel

// The viewer draws them, in a tree of its own: its style is not that of the walk.
export function channels(view) {
  const { content, body } = view;
  const tree = element("div", "", body).attachShadow({ mode: "open" });
  element("style", "", tree, { text: content.style });
  const open = (_, event) => {
    if (event.index !== undefined)
      view.ask({ action: "channel", name: content.path, channel: content.order[event.index] });
  };
  const end = render({ data: view.array(content.grid).values, parentElement: tree, setTriggerValue: open });
  view.ends.push(end);
}

export function channel(view) {
  const { content, body } = view;
  const [left, right] = ["f-left", "f-right"].map((name) => element("div", name, body));
  cellMap(left, content.map, view);
  legend(left, content.map, view);
  if (content.heading) element("div", "f-caption f-strong", right, { text: content.heading });
  if (content.kernels) kernels(view, right);
  if (content.note) element("p", "f-caption", right, { text: content.note });
  const links = element("div", "f-actions", right);
  for (const [text, event] of content.links) button("f-action", links, text, () => view.ask(event));
}

// The kernels of the strongest inputs: of one cell as bars, else as cells.
function kernels(view, parent) {
  const { content } = view;
  const { values, shape } = view.array(content.kernels);
  const [count, height, width] = shape;
  if (height * width === 1) return bars(content, values, parent);
  if (content.colour) parent.append(inColour(view.array(content.colour)));
  const box = element("div", "f-kernels", parent);
  for (let at = 0; at < count; at++) {
    const one = values.subarray(at * height * width, (at + 1) * height * width);
    const figure = element("div", "f-figure", box);
    if (count > 1) element("div", "f-caption", figure, { text: content.names[at] });
    const grid = cellGrid(figure, {
      values: one,
      columns: width,
      limits: [-content.limit, content.limit],
      table: view.table("blue-orange"),
      signed: true,
      label: `Kernel, ${content.names[at]}`,
      sentence: (cell) => `weight ${fixed(one[cell], 4, true)}, ${content.names[at]}`,
    });
    grid.size(count > 1 ? Math.floor(TILE / Math.max(height, width)) : Math.min(48, Math.floor(230 / width)));
  }
  return undefined;
}

function bars(content, values, parent) {
  const box = element("div", "f-amounts", parent);
  const digits = decimals([...values]);
  const twoSided = values.some((value) => value < 0);
  for (const [at, name] of content.names.entries()) {
    const row = element("div", "f-amount f-more", box);
    element("span", "f-name", row, { text: name });
    bar(row, values[at], content.limit, twoSided);
    element("span", "f-total", row, { text: fixed(values[at], digits, true) });
  }
}

function inColour({ values, shape }) {
  const { canvas, pixels, done } = pixelCanvas(shape[1], shape[0]);
  for (let at = 0; at < pixels.length; at++) pixels[at] = packRgb(...values.subarray(3 * at, 3 * at + 3));
  done();
  canvas.className = "f-colour";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The kernel in colour; grey is zero");
  return canvas;
}
