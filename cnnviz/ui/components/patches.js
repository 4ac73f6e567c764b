// The parts of an arithmetic: the input's map, patch × kernel = products, and the results.

import { cellGrid, drawn, fixed } from "./cells.js";
import { element } from "./elements.js";

export const LARGEST = 48; // pixels of a cell
export const SMALLEST = 34; // of one with a number in it
export const GAP = 2;
export const SIGN = 32; // of × and =
export const NARROW = 560; // of a view whose parts are below one another

// One layer back: to an input cell.
export const goBack = (view, term, at) => {
  const columns = term.columns.length;
  const [row, column] = [term.rows[Math.floor(at / columns)], term.columns[at % columns]];
  view.ask({ action: "cell", name: term.layer, channel: term.channel, row, column });
};

const isOutside = ({ rows, columns, size }, at) => {
  const [row, column] = [rows[Math.floor(at / columns.length)], columns[at % columns.length]];
  return row < 0 || column < 0 || row >= size[0] || column >= size[1];
};

// The input's map with the patch outlined in it.
export function inputMap(view, parent, term, heading) {
  const figure = element("div", "f-figure f-input", parent);
  element("div", "f-caption f-strong", figure, { text: heading });
  const map = element("div", "f-map", figure);
  map.style.aspectRatio = `${term.size[1]} / ${term.size[0]}`;
  map.append(drawn(view.array(term.map), term.limits, view.table(term.colours)));
  return { figure, box: outline(map, term) };
}

const ends = (places) => [places[0], places.at(-1) + 1];

export function outline(map, { rows, columns, size: [height, width] }) {
  const box = element("div", "f-patchbox", map);
  const [[top, bottom], [left, right]] = [ends(rows), ends(columns)];
  box.style.left = `${(100 * left) / width}%`;
  box.style.top = `${(100 * top) / height}%`;
  box.style.width = `${(100 * (right - left)) / width}%`;
  box.style.height = `${(100 * (bottom - top)) / height}%`;
  return box;
}

// Two lines from the outlined patch to its enlarged cells, drawn anew by the function returned.
export function connect(view, from, to) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.classList.add("f-lines");
  svg.setAttribute("aria-hidden", "true");
  view.root.append(svg);
  return (way) => {
    const [root, one, other] = [view.root, from, to].map((each) => each.getBoundingClientRect());
    const lines =
      way === "up"
        ? [
            [one.left, one.top, other.left, other.bottom],
            [one.right, one.top, other.right, other.bottom],
          ]
        : [
            [one.right, one.top, other.left, other.top],
            [one.right, one.bottom, other.left, other.bottom],
          ];
    svg.replaceChildren();
    if (way === "right" && other.left < one.right) return;
    for (const [x1, y1, x2, y2] of lines) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const places = { x1: x1 - root.left, y1: y1 - root.top, x2: x2 - root.left, y2: y2 - root.top };
      for (const [name, place] of Object.entries(places)) line.setAttribute(name, place);
      svg.append(line);
    }
  };
}

// Patch, kernel and products as grids of numbers; of a pooling the patch alone.
export function patches(view, stage, term, heading) {
  const { content } = view;
  const [inputs, weights] = [view.array(term.inputs).values, view.array(term.weights).values];
  const products = inputs.map((value, at) => value * weights[at]);
  const columns = term.columns.length;
  const where = (at) => `row ${term.rows[Math.floor(at / columns)]}, column ${term.columns[at % columns]}`;
  const [weightLimit, productLimit] = view.array(content.weight_limit).values;
  const signed = view.table("blue-orange");
  const figures = [];
  const grids = [];
  const add = (sign, head, spec) => {
    const figure = element("div", "f-figure", stage);
    element("div", "f-caption f-strong", figure, { text: head });
    const line = element("div", "f-line", figure);
    if (sign) element("span", "f-sign", line, { text: sign, "aria-hidden": "true" });
    grids.push(cellGrid(line, { columns, label: `${head}, ${term.name}`, ...spec }));
    figures.push(figure);
  };
  add("", heading, {
    values: inputs,
    limits: term.limits,
    table: view.table(term.colours),
    outside: (at) => isOutside(term, at),
    sentence: (at) => (isOutside(term, at) ? "padding: 0" : `${fixed(inputs[at], 4)}, ${where(at)}: one layer back`),
    open: (at) => goBack(view, term, at),
  });
  if (content.winner) grids[0].cells[content.winner[0] * columns + content.winner[1]].classList.add("f-winner");
  if (content.form !== "pool") {
    const equation = (at) =>
      `${fixed(inputs[at], 4)} × ${fixed(weights[at], 4, true)} = ${fixed(products[at], 4, true)}`;
    const both = { signed: true, table: signed, sentence: equation };
    add("×", "Kernel", { ...both, values: weights, limits: [-weightLimit, weightLimit] });
    add("=", "Products", { ...both, values: products, limits: [-productLimit, productLimit] });
  }
  const size = (edge) => {
    for (const grid of grids) grid.size(edge);
  };
  return { figures, size };
}

// From the sum to the value.
export function results(view, parent) {
  const box = element("div", "f-results", parent);
  for (const [at, { name, value, formula, layer }] of view.content.results.entries()) {
    const last = at === view.content.results.length - 1;
    const step = element("div", "f-step", box);
    if (at) element("span", "f-arrow", step, { text: "→", "aria-hidden": "true" });
    const result = element("div", last ? "f-result f-last" : "f-result", step, { title: layer });
    element("div", "f-caption f-strong", result, { text: name });
    element("div", "f-value", result, { text: value });
    element("div", "f-caption", result, { text: formula });
  }
}
