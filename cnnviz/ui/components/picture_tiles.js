// Small pictures side by side, of which a person picks one: by a click, a tap, Tab and Enter, or,
// of at most nine, by their numbers. picture_tiles.py says what is drawn.

import { button, element } from "./elements.js";

export default function render({ data, parentElement, setTriggerValue }) {
  parentElement.tiles ??= new PictureTiles(parentElement);
  parentElement.tiles.show(data, (index) => setTriggerValue("event", { id: data.id, index }));
}

class PictureTiles {
  constructor(root) {
    this.box = element("div", "picture-tiles", root);
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  show(data, send) {
    const focused = this.buttons?.indexOf(this.box.getRootNode().activeElement) ?? -1;
    Object.assign(this, { data, send, buttons: [] });
    this.box.style.setProperty("--columns", data.columns);
    this.box.classList.toggle("enlarged", data.enlarged);
    this.box.replaceChildren();
    let at = 0;
    for (const { heading, tiles } of data.groups) {
      if (heading) element("h3", "", this.box, { text: heading });
      const list = element("ol", "", this.box);
      for (const tile of tiles) this.tile(element("li", tile.mark, list), tile, at++);
    }
    // The keyboard stays where it was.
    this.buttons[focused]?.focus();
  }

  tile(item, { sources, title, note, label, mark, pixels }, at) {
    const { opens } = this.data;
    const place = opens ? button("tile", item, "", () => this.pick(at)) : element("div", "tile", item);
    if (opens) this.buttons.push(place);
    place.title = label;
    for (const [number, source] of sources.entries()) {
      const frame = element("span", "square", place);
      element("img", pixels ? "pixels" : "", frame, { src: source, alt: number ? "" : label });
    }
    const said = { right: "✓ ", wrong: "✗ ", "": "" }[mark];
    if (title) element("b", "", place, { text: said + title });
    if (note) element("small", "", place, { text: note });
  }

  key(event) {
    const at = Number(event.key) - 1;
    if (this.buttons.length > 9 || !(at >= 0 && at < this.buttons.length) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.pick(at);
  }

  pick(index) {
    this.send(index);
  }
}
