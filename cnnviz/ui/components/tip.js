// The lines at the mouse.

import { element } from "./elements.js";
import { bounded } from "./pixels.js";

export class Tip {
  constructor(parent) {
    this.parent = parent;
    this.box = element("div", "tip", parent, { hidden: "", "aria-hidden": "true" });
  }

  // Shows lines beside the pointer; none for null.
  say(lines, event) {
    this.box.hidden = !lines;
    if (!lines) return;
    this.box.replaceChildren(...lines.map((text, at) => element(at ? "div" : "strong", "", null, { text })));
    const outer = this.parent.getBoundingClientRect();
    const [x, y] = [event.clientX - outer.left, event.clientY - outer.top];
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const left = x + 16 + width > outer.width ? x - 12 - width : x + 16;
    this.box.style.left = `${bounded(left, 0, Math.max(0, outer.width - width))}px`;
    this.box.style.top = `${y + 20 + height > outer.height ? y - 12 - height : y + 20}px`;
  }
}
