// Where one value comes from: inputs × weights, what they add up to, and what follows.

import { cellMap, legend } from "./cells.js";
import { button, element } from "./elements.js";
import { connect, GAP, inputMap, LARGEST, NARROW, patches, results, SIGN, SMALLEST } from "./patches.js";
import { list, ranked } from "./ranked.js";

const MAP = 118; // pixels of the input map
const TALLEST = 300; // of a patch without weights
const MOST_CELLS = 400; // of a patch that is drawn cell by cell

export function arithmetic(view) {
  const { content, body } = view;
  body.classList.add(`f-${content.form}`);
  if (content.map) {
    element("div", "f-caption f-strong", view.right, { text: content.map.title });
    cellMap(view.right, content.map, view);
    legend(view.right, content.map, view);
    const back = content.terms.length ? ", or an input to go one layer back" : "";
    element("p", "f-caption", view.right, { text: `Click another cell${back}.` });
  }
  ({ patch: spelledOut, pool: spelledOut, ranked, list, none })[content.form](view);
  view.api.showField(content.box, { large: true, caption: content.caption });
}

// --- One channel: patch × kernel = products ------------------------------------------------------

function spelledOut(view) {
  const { content, body } = view;
  const [term] = content.terms;
  const whole = term.rows.length === term.size[0] && term.columns.length === term.size[1];
  const stage = element("div", "f-calculation", body);
  if (whole && content.form === "pool" && term.rows.length * term.columns.length > MOST_CELLS) {
    wholeMap(view, stage, term);
    results(view, element("div", "f-below", body));
    return;
  }
  const input = term.map && !whole ? inputMap(view, stage, term, content.heading) : null;
  const grids = patches(view, stage, term, whole ? content.heading : "Patch");
  const below = element("div", "f-below", body);
  results(view, below);
  const lines = input && connect(view, input.box, grids.figures[0].querySelector(".f-cells"));
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
      input.figure.classList.toggle("f-small", under);
    }
    grids.size(edge);
    lines?.(under ? "up" : "right");
  });
}

// All cells of a channel that is pooled, as one map.
function wholeMap(view, parent, term) {
  const figure = element("div", "f-figure f-whole", parent);
  element("div", "f-caption f-strong", figure, { text: view.content.heading });
  const { layer: name, channel, limits, colours, map } = term;
  const event = { action: "cell", name, channel };
  const title = `${view.content.heading}, ${term.name}`;
  cellMap(figure, { title, values: map, limits, colours, unit: "activation", selected: null, event }, view);
}

// --- What follows ---------------------------------------------------------------------------------

function none(view) {
  const { body, content } = view;
  for (const [text, event] of content.links) button("f-action", body, text, () => view.ask(event));
  results(view, element("div", "f-below", body));
}
