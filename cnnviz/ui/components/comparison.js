// Maps side by side, over their photos. The pointer over a place of one photo marks the same place
// in all maps, with each one's value there. comparison.py says what is sent.

import { MapCell } from "./comparison_cell.js";
import { same, unpack } from "./data.js";
import { element, isDark } from "./elements.js";
import { enlargement } from "./page.js";
import { Theme } from "./theme.js";

const NARROW = 640; // pixels below which the methods are below one another
const [HEADING, GAP, LINE_GAP] = [132, 14, 10]; // pixels of the headings' column, between maps across and down
const [LITTLE, SHORT] = [900, 90]; // pixels of a width, and of the headings' column below it
const [SMALLEST, LOWEST] = [120, 120]; // pixels of a picture's width, and of its height

export default function render({ data, parentElement, setTriggerValue }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  parentElement.comparison ??= new Comparison(parentElement);
  const { comparison } = parentElement;
  comparison.send = (event) => setTriggerValue("event", event);
  comparison.show(packed);
  return () => comparison.watch.disconnect();
}

class Comparison {
  constructor(root) {
    this.box = element("div", "comparison", root);
    this.board = element("div", "board", this.box);
    this.told = element("div", "told", this.box, { "aria-live": "polite" });
    this.theme = new Theme(this.box);
    this.watch = new ResizeObserver(() => this.width !== this.board.clientWidth && this.layOut());
  }

  show(packed) {
    this.watch.observe(this.box);
    const dark = isDark(this.box);
    if (same(this.packed, packed) && dark === this.dark) return;
    Object.assign(this, { packed, dark, scene: unpack(packed) });
    this.box.classList.toggle("dark", dark);
    this.theme.load(this.scene);
    this.build();
    this.layOut();
  }

  build() {
    const { columns, rows, cells, photos } = this.scene;
    this.board.replaceChildren();
    this.columns = columns.map((column) => this.buildMethod(column));
    this.rows = rows.map(({ title, share, lines }) => {
      const head = element("div", "class", this.board);
      element("div", "name", head, { text: title });
      element("div", "share", head, { text: share });
      for (const text of lines) element("div", "quiet", head, { text });
      return head;
    });
    this.cells = cells.flatMap((line, row) => line.map((cell, column) => new MapCell(this, cell, row, column)));
    this.pictures = photos.map(() => null);
    for (const [at, { pixels }] of photos.entries()) {
      const { scene } = this;
      createImageBitmap(new Blob([scene.arrays[pixels.array].values])).then((picture) => {
        if (scene !== this.scene) return;
        this.pictures[at] = picture;
        for (const cell of this.cells) cell.paint();
      });
    }
  }

  buildMethod({ title, unit, ends }) {
    const head = element("div", "method", this.board);
    element("div", "title", head, { text: title });
    const legend = element("div", "legend", head, { role: "img", "aria-label": `Colours: ${unit}, ${ends.join(" to ")}` });
    if (ends[0]) this.theme.buildLegend(legend, { colours: "blue-orange", limits: [-1, 1] }, ["", ...ends]);
    element("div", "quiet", head, { text: unit, title: unit });
    return head;
  }

  // In a wide window the methods are side by side; in a narrow one the classes.
  layOut() {
    this.width = this.board.clientWidth;
    if (!this.width) return;
    const narrow = this.width < NARROW;
    const { columns, rows } = this;
    const across = narrow ? rows.length : columns.length;
    const heading = this.width < LITTLE ? SHORT : HEADING;
    this.box.classList.toggle("narrow", narrow);
    this.board.style.gridTemplateColumns = `${narrow ? "" : `${heading}px `}repeat(${across}, minmax(${SMALLEST}px, 1fr))`;
    for (const [at, { style }] of columns.entries()) style.gridArea = narrow ? `${2 + 2 * at} / 1 / auto / -1` : `1 / ${at + 2}`;
    for (const [at, { style }] of rows.entries()) style.gridArea = narrow ? `1 / ${at + 1}` : `${at + 2} / 1`;
    for (const { box, row, column } of this.cells) {
      box.style.gridArea = narrow ? `${3 + 2 * column} / ${row + 1}` : `${row + 2} / ${column + 2}`;
    }
    const free = (this.width - (narrow ? 0 : heading + GAP) - GAP * (across - 1)) / across;
    const size = [Math.max(SMALLEST, free), narrow ? this.width : this.height()];
    for (const cell of this.cells) cell.layOut(size);
  }

  // Of a picture, so that all rows fit into the window below what is above them.
  height() {
    const { rows, cells, columns, box } = this;
    const larger = enlargement(box);
    const above = (box.getBoundingClientRect().top + scrollY) / larger + Math.max(...columns.map(({ offsetHeight }) => offsetHeight));
    const captions = Math.max(...cells.map(({ caption }) => caption.offsetHeight));
    return Math.max(LOWEST, (innerHeight / larger - above - LINE_GAP) / rows.length - captions - LINE_GAP);
  }

  // Marks a place, in shares of the photo; null for none.
  point(place) {
    for (const cell of this.cells) cell.point(place);
  }

  tell(text) {
    this.told.textContent = text;
  }
}
