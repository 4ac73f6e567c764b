// A photo with boxes and contours, in an SVG whose units are the photo's pixels. A person drags a
// box of their own on it: with a mouse or a pen at once; with a finger, which else scrolls the page,
// after the button. located.py says what is on it.

import { button, element, shape } from "./elements.js";

const LEAST = 3; // pixels of the photo: a shorter drag is a click

export default function render({ data, parentElement, setTriggerValue }) {
  parentElement.located ??= new Located(parentElement);
  parentElement.located.show(data, (box) => setTriggerValue("event", { id: data.id, ...box }));
}

class Located {
  constructor(root) {
    this.box = element("div", "located", root);
    this.svg = shape("svg", this.box, { role: "img" });
    this.fingers = button("fingers", this.box, "", () => this.setFingers(!this.drawing), {
      "aria-pressed": "false",
    });
    this.setFingers(false);
    this.svg.addEventListener("pointerdown", (event) => this.start(event));
    this.svg.addEventListener("pointermove", (event) => this.from && this.drag(event));
    this.svg.addEventListener("pointerup", (event) => this.end(event));
    this.svg.addEventListener("pointercancel", () => this.stop());
  }

  // A finger draws, or it scrolls.
  setFingers(drawing) {
    this.drawing = drawing;
    this.svg.classList.toggle("drawing", drawing);
    this.fingers.textContent = drawing ? "Scroll with a finger again" : "Draw a box with a finger";
    this.fingers.setAttribute("aria-pressed", drawing);
  }

  show(data, send) {
    Object.assign(this, { data, send, from: null });
    const { photo, label, boxes, rings } = data;
    const { width, height } = photo;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("aria-label", label);
    this.svg.style.setProperty("--ratio", width / height);
    if (this.source !== photo.source) {
      this.picture?.remove();
      this.picture = shape("image", null, { width, height, preserveAspectRatio: "none", href: photo.source });
      this.svg.prepend(this.picture);
      this.source = photo.source;
    }
    this.svg.replaceChildren(this.picture);
    const d = rings.map((ring) => `M${ring.map((point) => point.join(" ")).join("L")}Z`).join("");
    // All but the region is darker; of no region, nothing is.
    if (d) shape("path", this.svg, { class: "outside", d: `M0 0H${width}V${height}H0Z${d}` });
    shape("path", this.svg, { class: "casing", d });
    for (const [at, one] of boxes.entries()) this.rectangle(at ? "found" : "found first", one);
    // Over the boxes, whose lines it often follows.
    shape("path", this.svg, { class: "contour", d });
    this.own = this.rectangle("own", data.own);
  }

  // Two lines, so that one of them is seen on any photo.
  rectangle(name, box) {
    const both = ["casing", ""].map((kind) => shape("rect", this.svg, { class: `${name} ${kind}` }));
    place(both, box);
    return both;
  }

  // Where the pointer is, in pixels of the photo.
  at({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    const { width, height } = this.data.photo;
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }

  start(event) {
    if (event.button !== 0 || (event.pointerType === "touch" && !this.drawing)) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    this.from = this.at(event);
  }

  drag(event) {
    const [[x, y], [fromX, fromY]] = [this.at(event), this.from];
    this.next = {
      left: Math.floor(Math.min(x, fromX)),
      top: Math.floor(Math.min(y, fromY)),
      right: Math.ceil(Math.max(x, fromX)),
      bottom: Math.ceil(Math.max(y, fromY)),
    };
    place(this.own, this.next);
  }

  end(event) {
    if (!this.from) return;
    this.drag(event);
    const { left, top, right, bottom } = this.next;
    if (Math.min(right - left, bottom - top) < LEAST) {
      this.stop();
      return;
    }
    this.from = null;
    this.send(this.next);
  }

  // Back to the box that was there.
  stop() {
    if (!this.from) return;
    this.from = null;
    place(this.own, this.data.own);
  }
}

function place(rectangles, box) {
  for (const one of rectangles) {
    one.toggleAttribute("hidden", !box);
    if (!box) continue;
    const { left, top, right, bottom } = box;
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top }))
      one.setAttribute(name, value);
  }
}
