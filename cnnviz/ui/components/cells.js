// Numbers as coloured cells, maps of cells that can be clicked, and bars.

import { precise } from "./cell_grid.js";
import { element, number } from "./elements.js";
import { atlasOf, bounded } from "./pixels.js";

const SMALLEST = 34; // pixels of a cell that has its number in it

// A map (1, h, w) as a canvas with a pixel for each cell.
export function drawn(values, limits, table) {
  const { canvas } = atlasOf({ values, limits }, table);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

// Decimals for the numbers of one list: two, more where all are small, fewer where they are large.
export function decimals(values) {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
  const size = largest ? Math.floor(Math.log10(largest) + 0.02) : 0;
  return size >= 0 ? Math.max(0, 2 - size) : Math.min(4, 1 - size);
}

export function fixed(value, digits, signed) {
  if (!Number.isFinite(value)) return "NaN";
  const text = Math.abs(value).toFixed(digits);
  const zero = value === 0 || (!signed && Number(text) === 0);
  return `${zero ? "" : value < 0 ? "−" : signed ? "+" : ""}${text}`;
}

// The background of a value, and a text colour that can be read on it.
export function shade({ style }, value, [low, high], table) {
  if (!Number.isFinite(value)) return;
  const pixel = table[bounded(Math.round(((value - low) / (high - low)) * 255), 0, 255)];
  const rgb = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const [red, green, blue] = rgb.map((part) => (part / 255) ** 2.2);
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  style.background = `rgb(${rgb})`;
  style.color = light > 0.2 ? "#14202b" : "#ffffff";
}

// A grid of numbers in colours. `spec`: values (n), columns, limits, table, signed, label,
// sentence(index); `outside(index)` for padding; `open(index)` makes each cell a button.
export function cellGrid(parent, spec) {
  const { values, columns, limits, table, signed, label, sentence, outside, open } = spec;
  const grid = element("div", "f-cells", parent, { role: "grid", "aria-label": label });
  const digits = decimals(values);
  const texts = [...values].map((value) => fixed(value, digits, signed));
  const cells = [];
  for (let start = 0; start < values.length; start += columns) {
    const row = element("div", "f-row", grid, { role: "row" });
    for (let at = start; at < Math.min(start + columns, values.length); at++) {
      const cell = element("div", "f-cell", row, { role: "gridcell", tabindex: at ? -1 : 0 });
      const padding = outside?.(at);
      cell.setAttribute("aria-label", sentence(at));
      cell.title = sentence(at);
      if (padding) cell.classList.add("f-padding");
      else shade(cell, values[at], limits, table);
      if (signed) cell.classList.add("f-edged");
      if (open && !padding) {
        cell.classList.add("f-opens");
        cell.addEventListener("click", () => {
          for (const other of cells) other.classList.toggle("f-asked", other === cell);
          open(at);
        });
      }
      cells.push(cell);
    }
  }
  grid.addEventListener("keydown", (event) => moveBetween(event, cells, columns));
  // Cells of that many pixels; their numbers, if they fit.
  const size = (edge) => {
    grid.style.setProperty("--cell", `${edge}px`);
    const [shown, font] = fitting(texts, edge, grid);
    grid.style.fontSize = `${font}px`;
    for (const [at, cell] of cells.entries()) cell.textContent = shown ? shown[at] : "";
    return Boolean(shown);
  };
  return { grid, cells, size, columns, rows: Math.ceil(values.length / columns) };
}

// The texts, or shorter ones without the zero before the point, in the largest letters that fit.
function fitting(texts, edge, grid) {
  if (edge < SMALLEST) return [null, 14];
  const context = document.createElement("canvas").getContext("2d");
  const family = getComputedStyle(grid).fontFamily;
  const bare = texts.map((text) => text.replace(/^([+−]?)0\./, "$1."));
  for (const [tried, font] of [
    [texts, 16],
    [texts, 15],
    [texts, 14],
    [bare, 14],
  ]) {
    context.font = `600 ${font}px ${family}`;
    const widest = Math.max(...tried.map((text) => context.measureText(text).width));
    if (widest <= edge - 2) return [tried, font];
  }
  return [null, 14];
}

function moveBetween(event, cells, columns) {
  const at = cells.indexOf(event.target);
  const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  if (event.key === "Enter" || event.key === " ") event.target.click();
  else if (cells[at + moves[event.key]]) {
    event.target.tabIndex = -1;
    cells[at + moves[event.key]].tabIndex = 0;
    cells[at + moves[event.key]].focus();
  } else if (!(event.key in moves)) return;
  event.preventDefault();
}

// A map whose cells can be clicked and walked through with arrow keys; the value in a chip.
export function cellMap(parent, spec, view) {
  const values = view.array(spec.values);
  const [, rows, columns] = values.shape;
  const box = element("div", "f-cellmap", parent);
  box.style.aspectRatio = `${columns} / ${rows}`;
  box.append(drawn(values, spec.limits, view.table(spec.colours)));
  const grid = element("div", "f-overlay", box, { role: "grid", tabindex: 0, "aria-label": spec.title });
  grid.setAttribute("aria-rowcount", rows);
  grid.setAttribute("aria-colcount", columns);
  const line = element("div", "f-spoken", grid, { role: "row" });
  const [mark, cursor] = ["f-mark", "f-mark f-cursor"].map((name) => element("div", name, grid));
  const chip = element("div", "f-chip", box, { "aria-hidden": "true" });
  const valueAt = (row, column) => values.values[row * columns + column];
  const unit = (row, column) => row * columns + column;
  const place = (made, [row, column]) => {
    const shares = { left: column / columns, top: row / rows, width: 1 / columns, height: 1 / rows };
    for (const [name, share] of Object.entries(shares)) made.style[name] = `${100 * share}%`;
  };
  const tell = (cell) => {
    chip.hidden = !cell || Number.isNaN(valueAt(...cell));
    if (chip.hidden) return;
    chip.textContent = number(valueAt(...cell));
    const [row, column] = cell;
    const right = column > columns / 2;
    chip.style.left = right ? "" : `calc(${(100 * (column + 1)) / columns}% + 8px)`;
    chip.style.right = right ? `calc(${(100 * (columns - column)) / columns}% + 8px)` : "";
    chip.style.top = `${(100 * (row + 0.5)) / rows}%`;
  };
  let at = spec.selected ?? [0, 0];
  const speak = () => {
    const [row, column] = at;
    const where = spec.units ? `unit ${unit(row, column)}` : `row ${row}, column ${column}`;
    const text = `${spec.unit} ${number(valueAt(row, column))}, ${where}`;
    line.replaceChildren(element("div", "", null, { role: "gridcell", id: `${spec.title} ${at}`, text }));
    grid.setAttribute("aria-activedescendant", `${spec.title} ${at}`);
    place(cursor, at);
  };
  const open = ([row, column]) => {
    if (Number.isNaN(valueAt(row, column))) return;
    mark.hidden = false;
    place(mark, [row, column]);
    view.ask(spec.units ? { ...spec.event, channel: unit(row, column) } : { ...spec.event, row, column });
  };
  const under = ({ clientX, clientY }) => {
    const { left, top, width, height } = grid.getBoundingClientRect();
    return [
      bounded(Math.floor(((clientY - top) / height) * rows), 0, rows - 1),
      bounded(Math.floor(((clientX - left) / width) * columns), 0, columns - 1),
    ];
  };
  grid.addEventListener("pointermove", (event) => event.pointerType === "mouse" && tell(under(event)));
  grid.addEventListener("pointerleave", () => tell(spec.selected));
  let pressed = null;
  grid.addEventListener("pointerdown", (event) => {
    pressed = event;
  });
  grid.addEventListener("click", (event) => open(under(precise(event, pressed))));
  grid.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    if (event.key === "Enter" || event.key === " ") open(at);
    else if (event.key in moves) {
      const [down, across] = moves[event.key];
      at = [bounded(at[0] + down, 0, rows - 1), bounded(at[1] + across, 0, columns - 1)];
      speak();
      tell(at);
    } else return;
    event.preventDefault();
  });
  mark.hidden = !spec.selected;
  if (spec.selected) place(mark, spec.selected);
  tell(spec.selected);
  speak();
  return box;
}

// The colours of a map, and what their ends mean.
export function legend(parent, { unit, ends, limits: [low, high], colours }, view) {
  const box = element("div", "f-legend", parent, { role: "img", "aria-label": `${unit}, ${ends.join(" to ")}` });
  element("span", "", box, { text: `${unit} ${ends[0]}` });
  const ramp = element("span", "f-ramp", box);
  const table = view.table(colours);
  const stops = Array.from({ length: 18 }, (_, at) => table[15 * at]);
  const css = stops.map((pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`);
  ramp.style.background = `linear-gradient(to right, ${css})`;
  if (low < 0 && high > 0) element("span", "f-zero", ramp).style.left = `${(100 * -low) / (high - low)}%`;
  element("span", "", box, { text: ends[1] });
}

// A bar to one side of zero; `largest` fills its half.
export function bar(parent, value, largest, twoSided) {
  const box = element("span", twoSided ? "f-bar f-two" : "f-bar", parent, { "aria-hidden": "true" });
  const fill = element("span", value < 0 ? "f-against" : "f-for", box);
  const share = (Math.abs(value) / (largest || 1)) * (twoSided ? 50 : 100);
  fill.style.width = `${Number.isFinite(share) ? share : 0}%`;
  if (twoSided) fill.style[value < 0 ? "right" : "left"] = "50%";
}
