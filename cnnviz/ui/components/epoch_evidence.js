// The map of a class over the grey photo, after each epoch of a training.

import { element, number } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { frame, paintPhoto, paintVeil } from "./frame.js";
import { surface } from "./pixels.js";

const TALLEST = 320; // pixels of the picture
const MAP_PIXELS = 240; // of the map's longer side, before the browser enlarges it
const CONTOURS = [0.2, 0.4, 0.6]; // shares of the limit

export class EpochEvidence {
  constructor(view, parent) {
    Object.assign(this, { view, parent, share: 0, at: 0, before: null, drawn: new Map() });
    this.bar = element("div", "bar", parent);
    this.canvas = element("canvas", "photo", parent, { role: "img" });
  }

  load(spec) {
    const { theme, scene } = this.view;
    Object.assign(this, { spec, picture: null });
    ({ values: this.values, shape: this.shape } = scene.arrays[spec.values.array]);
    this.drawn.clear();
    this.bar.replaceChildren();
    element("div", "title", this.bar, { text: spec.title });
    const end = number(spec.limit);
    const legend = element("div", "legend", this.bar, { role: "img", "aria-label": `Colours: ${spec.unit}, −${end} to +${end}` });
    theme.buildLegend(legend, { colours: "blue-orange", limits: [-1, 1] }, ["", `−${end}`, `+${end}`]);
    createImageBitmap(new Blob([scene.arrays[spec.photo.pixels.array].values])).then((picture) => {
      if (spec !== this.spec) return;
      this.picture = picture;
      this.paint();
    });
  }

  layOut() {
    this.frame = frame(this.spec.photo, this.spec.seen, [this.parent.clientWidth, TALLEST]);
  }

  show(at, before) {
    Object.assign(this, { at, before });
    const { epochs } = this.view.scene;
    const shown = before === null ? [at] : [before, at];
    this.canvas.setAttribute("aria-label", `${this.spec.title}: ${shown.map((one) => epochs[one].caption).join(" | ")}`);
  }

  wipe(share) {
    this.share = this.before === null ? 0 : share;
    this.paint();
  }

  paint() {
    if (!this.frame) return;
    const { spec, frame: place, view } = this;
    const { context, density } = surface(this.canvas, ...place.size);
    paintPhoto(context, this.picture, place, spec.photo.pixelated, density, (picture, where) => paintGrey(context, picture, where));
    const [left, top, width, height] = place.seen;
    const edge = left + this.share * width;
    this.paintPart(context, this.at, [edge, top, left + width - edge, height]);
    if (this.share) this.paintPart(context, this.before, [left, top, edge - left, height]);
    paintVeil(context, place, view.theme.colour("--ground"));
    if (this.share > 0 && this.share < 1) {
      context.fillStyle = "#fff";
      context.fillRect(edge - 1, top, 2, height);
    }
  }

  // Paints a part of an epoch's map.
  paintPart(context, at, part) {
    context.save();
    context.beginPath();
    context.rect(...part);
    context.clip();
    paintEvidence(context, this.map(at), this.frame.seen, 1);
    context.restore();
  }

  // An epoch's map, drawn once.
  map(at) {
    if (!this.drawn.has(at)) {
      const [, h, w] = this.shape;
      const values = this.values.subarray(at * h * w, (at + 1) * h * w);
      const [, , width, height] = this.frame.seen;
      const scale = MAP_PIXELS / Math.max(width, height);
      const size = [height, width].map((length) => Math.max(1, Math.round(length * scale)));
      const table = this.view.theme.table("blue-orange");
      this.drawn.set(at, evidence({ values, h, w, limit: this.spec.limit, table, size, contours: CONTOURS }));
    }
    return this.drawn.get(at);
  }
}
