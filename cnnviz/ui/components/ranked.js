// The inputs that gave most, ranked: patches of several channels, or one number a channel.

import { bar, decimals, drawn, fixed, shade } from "./cells.js";
import { button, element, number } from "./elements.js";
import { connect, GAP, goBack, LARGEST, NARROW, outline, patches, results, SIGN, SMALLEST } from "./patches.js";

// --- Several channels: the largest, ranked --------------------------------------------------------

export function ranked(view) {
  const { content, body } = view;
  const [left, right] = ["f-left", "f-right"].map((name) => element("div", name, body));
  const stage = element("div", "f-calculation", right);
  results(view, element("div", "f-below", right));
  let grids = null;
  let lines = null;
  const layOut = () => {
    const width = right.clientWidth;
    const n = content.terms[0].columns.length;
    const fit = (space) => Math.min(LARGEST - 4, Math.floor((space - GAP * (n - 1)) / n));
    const stacked = fit((width - 2 * SIGN) / 3) < SMALLEST && view.width < NARROW;
    grids.size(stacked ? fit((width - 2 * SIGN) / 2) : fit((width - 2 * 26) / 3));
    lines("right");
  };
  const choose = (at) => {
    for (const [which, row] of rows.entries()) row.button?.setAttribute("aria-pressed", which === at);
    stage.replaceChildren();
    for (const old of view.root.querySelectorAll(".f-lines")) old.remove();
    const term = content.terms[at];
    grids = patches(view, stage, term, `Patch, ${term.name}`);
    if (rows[at].map) outlineIn(rows, at, term);
    lines = connect(view, rows[at].button, grids.figures[0].querySelector(".f-cells"));
    if (view.width) layOut();
  };
  const rows = amounts(view, left, choose);
  choose(0);
  view.layouts.push(layOut);
}

function outlineIn(rows, at, term) {
  for (const { map } of rows) map?.querySelector(".f-patchbox")?.remove();
  outline(rows[at].map, term);
}

// --- One input a channel: a row each --------------------------------------------------------------

export function list(view) {
  const { body, content } = view;
  const left = element("div", "f-left", body);
  amounts(view, left, (at) => goBack(view, content.terms[at], 0));
  results(view, element("div", "f-below", body));
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
  element("div", "f-caption f-strong", parent, { text: content.heading });
  const box = element("div", "f-amounts", parent);
  return [...totals].map((total, at) => {
    const term = content.terms[at];
    const row = term
      ? button("f-amount", box, "", () => choose(at), single ? {} : { "aria-pressed": false })
      : element("div", "f-amount f-more", box);
    const map = pictures && term ? element("span", "f-map", row) : null;
    if (term?.map) map.append(drawn(view.array(term.map), term.limits, view.table(term.colours)));
    element("span", "f-name", row, { text: term?.name ?? content.more[at - content.terms.length] });
    if (weighed || (single && !content.sums)) {
      const input = element("span", "f-cell", row, { text: term ? fixed(inputs[at], inputDigits) : "" });
      if (term) shade(input, inputs[at], term.limits, view.table(term.colours));
    }
    if (weighed) {
      element("span", "f-sign", row, { text: term ? "×" : "" });
      const weight = element("span", "f-cell", row, { text: term ? fixed(weights[at], weightDigits, true) : "" });
      if (term) shade(weight, weights[at], [-weightLimit, weightLimit], view.table("blue-orange"));
      element("span", "f-sign", row, { text: term ? "=" : "" });
    }
    if (content.sums) {
      bar(row, total, largest, twoSided);
      element("span", "f-total", row, { text: amount(total, digits) });
    }
    return { button: term && row, map: term?.map && map };
  });
}

// With more digits where it is small, since no amount is nothing.
function amount(value, digits) {
  const text = fixed(value, digits, true);
  return value && /^.[0.]+$/.test(text) ? `${value > 0 ? "+" : ""}${number(value)}` : text;
}
