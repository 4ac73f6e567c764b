// Elements of a page, and numbers as text.

export function element(kind, className, parent, attributes = {}) {
  const made = document.createElement(kind);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value);
  }
  parent?.append(made);
  return made;
}

// An element of an SVG.
export function shape(kind, parent, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

export function button(className, parent, text, act, attributes = {}) {
  const made = element("button", className, parent, { type: "button", text, ...attributes });
  made.addEventListener("click", act);
  return made;
}

// Text in parts, each with a style, as walk.py describes it.
export function write(node, parts) {
  const made = parts.map(([text, style]) => (style ? element(style === "quiet" ? "span" : "strong", style, null, { text }) : text));
  node.replaceChildren(...made);
}

export function put({ style }, [left, top, width, height]) {
  const lengths = { left, top, width, height };
  for (const [name, length] of Object.entries(lengths)) style[name] = `${length}px`;
}

export function number(value) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  const short = size === 0 || (size >= 1e-3 && size < 1e5);
  return (short ? String(+value.toPrecision(3)) : value.toExponential(2)).replaceAll("-", "−");
}

// A colour of the theme, by the name of its variable.
export const colourOf = (box, name) => getComputedStyle(box).getPropertyValue(name).trim();

// Whether the page's background is dark.
export function isDark(box) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = colourOf(box, "--ground");
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(probe.fillStyle.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
