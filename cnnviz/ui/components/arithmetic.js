// Where one value comes from: inputs × weights, what they add up to, and what follows.

import { bar, cellGrid, cellMap, decimals, drawn, fixed, legend, shade } from "./cells.js";
import { button, element } from "./elements.js";

const LARGEST = 48; // pixels of a cell
const SMALLEST = 34; // of one with a number in it
const GAP = 2;
const MAP = 118; // pixels of the input map
const SIGN = 32; // of × and =
const TALLEST = 300; // of a patch without weights
const NARROW = 560;

export function arithmetic(view) {
  const { content, body } = view;
  body.classList.add(content.form);
  if (content.map) {
    element("div", "caption strong", view.right, { text: content.map.title });
    cellMap(view.right, content.map, view);
    legend(view.right, content.map, view);
    const back = content.terms.length ? ", or an input to go one layer back" : "";
    element("p", "caption", view.right, { text: `Click another cell${back}.` });
  }
  ({ patch: spelledOut, pool: spelledOut, ranked, list, none })[content.form](view);
  view.api.showField(content.box, { large: true, caption: content.caption });
}

const goBack = (view, term, at) => {
  const columns = term.columns.length;
  const [row, column] = [term.rows[Math.floor(at / columns)], term.columns[at % columns]];
  view.ask({ action: "cell", name: term.layer, channel: term.channel, row, column });
};

const isOutside = ({ rows, columns, size }, at) => {
  const [row, column] = [rows[Math.floor(at / columns.length)], columns[at % columns.length]];
  return row < 0 || column < 0 || row >= size[0] || column >= size[1];
};

// --- One channel: patch × kernel = products ------------------------------------------------------

function spelledOut(view) {
  const { content, body } = view;
  const [term] = content.terms;
  const whole = term.rows.length === term.size[0] && term.columns.length === term.size[1];
  const stage = element("div", "calculation", body);
  const input = term.map && !whole ? inputMap(view, stage, term, content.heading) : null;
  const grids = patches(view, stage, term, whole ? content.heading : "Patch");
  const below = element("div", "below", body);
  results(view, below);
  const lines = input && connect(view, input.box, grids.figures[0].querySelector(".cells"));
  view.layouts.push((width) => {
    const narrow = width < NARROW;
    const beside = input ? MAP + 24 : 0;
    const [n, m] = [term.columns.length, term.rows.length];
    const fit = (space) => Math.min(LARGEST, Math.floor((space - GAP * (n - 1)) / n));
    let edge = fit((width - beside - 2 * SIGN) / 3);
    let under = false;
    if (content.form === "pool") edge = Math.min(fit(width - beside), Math.floor(TALLEST / m - GAP));
    else if (narrow) edge = Math.max(fit((width - 2 * SIGN) / 2), 0) < SMALLEST ? fit(width - SIGN) : fit((width - 2 * SIGN) / 2);
    else if (input && edge < SMALLEST) {
      under = fit((width - 2 * SIGN) / 3) >= SMALLEST;
      if (under) edge = fit((width - 2 * SIGN) / 3);
    }
    if (narrow && content.form !== "pool" && edge < SMALLEST) edge = fit(width - SIGN);
    if (input) {
      if (under) below.prepend(input.figure);
      else stage.prepend(input.figure);
      input.figure.classList.toggle("small", under);
    }
    grids.size(edge);
    lines?.(under ? "up" : "right");
  });
}

// The input's map with the patch outlined in it.
function inputMap(view, parent, term, heading) {
  const figure = element("div", "figure input", parent);
  element("div", "caption strong", figure, { text: heading });
  const map = element("div", "map", figure);
  map.style.aspectRatio = `${term.size[1]} / ${term.size[0]}`;
  map.append(drawn(view.array(term.map), term.limits, view.table(term.colours)));
  return { figure, box: outline(map, term) };
}

function outline(map, { rows, columns, size: [height, width] }) {
  const box = element("div", "patchbox", map);
  const ends = (places) => [places[0], places.at(-1) + 1];
  const [[top, bottom], [left, right]] = [ends(rows), ends(columns)];
  box.style.left = `${(100 * left) / width}%`;
  box.style.top = `${(100 * top) / height}%`;
  box.style.width = `${(100 * (right - left)) / width}%`;
  box.style.height = `${(100 * (bottom - top)) / height}%`;
  return box;
}

// Two lines from the outlined patch to its enlarged cells, drawn anew by the function returned.
function connect(view, from, to) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.classList.add("lines");
  svg.setAttribute("aria-hidden", "true");
  view.root.append(svg);
  return (way) => {
    const [root, one, other] = [view.root, from, to].map((each) => each.getBoundingClientRect());
    const ends =
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
    for (const [x1, y1, x2, y2] of ends) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const places = { x1: x1 - root.left, y1: y1 - root.top, x2: x2 - root.left, y2: y2 - root.top };
      for (const [name, place] of Object.entries(places)) line.setAttribute(name, place);
      svg.append(line);
    }
  };
}

// Patch, kernel and products as grids of numbers; of a pooling the patch alone.
function patches(view, stage, term, heading) {
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
    const figure = element("div", "figure", stage);
    element("div", "caption strong", figure, { text: head });
    const line = element("div", "line", figure);
    if (sign) element("span", "sign", line, { text: sign, "aria-hidden": "true" });
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
  if (content.winner) grids[0].cells[content.winner[0] * columns + content.winner[1]].classList.add("winner");
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

// --- Several channels: the largest, ranked --------------------------------------------------------

function ranked(view) {
  const { content, body } = view;
  const [left, right] = ["left", "right"].map((name) => element("div", name, body));
  const stage = element("div", "calculation", right);
  results(view, element("div", "below", right));
  let grids = null;
  let lines = null;
  const layOut = () => {
    const width = right.clientWidth;
    const n = content.terms[0].columns.length;
    const fit = (space) => Math.min(LARGEST - 4, Math.floor((space - GAP * (n - 1)) / n));
    const stacked = fit((width - 2 * SIGN) / 3) < SMALLEST && view.width < NARROW;
    grids.size(stacked ? fit((width - 2 * SIGN) / 2) : fit((width - 2 * 26) / 3));
    lines?.("right");
  };
  const choose = (at) => {
    for (const [number, row] of rows.entries()) row.button?.setAttribute("aria-pressed", number === at);
    stage.replaceChildren();
    for (const old of view.root.querySelectorAll(".lines")) old.remove();
    const term = content.terms[at];
    grids = patches(view, stage, term, `Patch, ${term.name}`);
    const box = rows[at].map && outlineIn(rows, at, term);
    lines = box && connect(view, box, grids.figures[0].querySelector(".cells"));
    if (view.width) layOut();
  };
  const rows = amounts(view, left, choose);
  choose(0);
  view.layouts.push(layOut);
}

function outlineIn(rows, at, term) {
  for (const { map } of rows) map?.querySelector(".patchbox")?.remove();
  return outline(rows[at].map, term);
}

// --- One input a channel: a row each --------------------------------------------------------------

function list(view) {
  const { body, content } = view;
  const left = element("div", "left", body);
  amounts(view, left, (at) => goBack(view, content.terms[at], 0));
  results(view, element("div", "below", body));
}

// The rows of a ranked list: map, name, input × weight where that is one number, bar and amount.
function amounts(view, parent, choose) {
  const { content } = view;
  const totals = view.array(content.totals).values;
  const single = content.form === "list";
  const weighed = single && content.terms.some((term) => view.array(term.weights).values[0] !== 1);
  const largest = totals.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
  const twoSided = totals.some((value) => value < 0);
  const inputs = single ? content.terms.map((term) => view.array(term.inputs).values[0]) : [];
  const weights = single ? content.terms.map((term) => view.array(term.weights).values[0]) : [];
  const [inputDigits, weightDigits, digits] = [inputs, weights, totals].map((values) => decimals([...values]));
  const [weightLimit] = view.array(content.weight_limit).values;
  const pictures = content.terms.some((term) => term.map);
  element("div", "caption strong", parent, { text: content.heading });
  const box = element("div", `amounts${pictures ? " pictures" : ""}${weighed ? " weighed" : ""}`, parent);
  return [...totals].map((total, at) => {
    const term = content.terms[at];
    const row = term
      ? button("amount", box, "", () => choose(at), single ? {} : { "aria-pressed": false })
      : element("div", "amount more", box);
    const map = pictures ? element("span", "map", row) : null;
    if (term?.map) map.append(drawn(view.array(term.map), term.limits, view.table(term.colours)));
    element("span", "name", row, { text: term?.name ?? content.more[at - content.terms.length] });
    if (weighed || (single && !content.sums)) {
      const input = element("span", "cell", row, { text: term ? fixed(inputs[at], inputDigits) : "" });
      if (term) shade(input, inputs[at], term.limits, view.table(term.colours));
    }
    if (weighed) {
      element("span", "sign", row, { text: term ? "×" : "" });
      const weight = element("span", "cell", row, { text: term ? fixed(weights[at], weightDigits, true) : "" });
      if (term) shade(weight, weights[at], [-weightLimit, weightLimit], view.table("blue-orange"));
      element("span", "sign", row, { text: term ? "=" : "" });
    }
    if (content.sums) {
      bar(row, total, largest, twoSided);
      element("span", "total", row, { text: fixed(total, digits, true) });
    }
    return { button: term && row, map: term?.map && map };
  });
}

// --- What follows ---------------------------------------------------------------------------------

function none(view) {
  const { body, content } = view;
  for (const [text, event] of content.links) button("action", body, text, () => view.ask(event));
  results(view, element("div", "below", body));
}

function results(view, parent) {
  const box = element("div", "results", parent);
  for (const [at, { name, value, formula, layer }] of view.content.results.entries()) {
    if (at) element("span", "arrow", box, { text: "→", "aria-hidden": "true" });
    const last = at === view.content.results.length - 1;
    const result = element("div", last ? "result last" : "result", box, { title: layer });
    element("div", "caption strong", result, { text: name });
    element("div", "value", result, { text: value });
    element("div", "caption", result, { text: formula });
  }
}
