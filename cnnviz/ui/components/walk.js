// The walk: a photo's way through a network, on one screen. walk.py says what is in it. Steps,
// classes, comparison and what the mouse reads are answered here, without the server.

import { Answer } from "./answer.js";
import { Compare } from "./compare.js";
import { same, unpack } from "./data.js";
import { element } from "./elements.js";
import { clearFocus, showFocus } from "./focus.js";
import { frame } from "./frame.js";
import { Intake } from "./intake.js";
import { PhotoPanel } from "./photo_panel.js";
import { bounded, pixelTable } from "./pixels.js";
import { Player } from "./player.js";
import { Tip } from "./tip.js";
import { Wall } from "./wall.js";

const [WIDE, NARROW] = [1100, 700]; // pixels of the walk
const [AT, SIDE, SPACES] = [1216, 252, 60]; // pixels: of a walk, of its sides, between its columns
const [LEAST, MOST] = [0.85, 1600 / 1216]; // scales
const TALLEST = 4 / 3; // of a photo, by its column's width
const PRESENTED = [1184, 372, 56, 720]; // pixels: of a walk, its pictures, the spaces, the window

// The walks of this page by key, and what the server shows in place of their walls.
const walks = new Map();
const messages = new Map();

export default function render({ data, parentElement, setTriggerValue }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  const former = parentElement.walk?.packed;
  const scene = same(former, packed) ? parentElement.walk.scene : unpack(packed);
  if (scene.kind === "focus") {
    const message = { ...scene, packed };
    messages.set(scene.of, message);
    walks.get(scene.of)?.receive(message);
    return undefined;
  }
  parentElement.walk ??= new Walk(parentElement);
  const { walk } = parentElement;
  walk.packed = packed;
  walk.show(scene, (event) => setTriggerValue("event", event));
  return () => walk.close();
}

class Walk {
  constructor(root) {
    this.box = element("div", "walk", root);
    this.left = element("div", "left", this.box);
    this.centre = element("div", "centre", this.box);
    this.right = element("div", "right", this.box);
    this.tip = new Tip(this.box);
    this.photo = new PhotoPanel(this, this.left);
    this.intake = new Intake(this, this.left);
    this.wall = new Wall(this, this.centre);
    this.host = element("div", "focus", this.centre, { hidden: "" });
    this.player = new Player(this, this.box);
    this.aside = element("div", "aside", this.right, { hidden: "" });
    this.answer = new Answer(this, this.right);
    this.compare = new Compare(this, this.centre, this.right);
    this.hint = element("p", "hint", this.right);
    this.hint.innerHTML = "Click any cell to see where its number comes from. <kbd>← →</kbd> step, <kbd>Space</kbd> plays.";
    this.watch = new ResizeObserver(() => Math.round(this.box.clientWidth) !== this.width && this.layOut());
    this.mode = new MutationObserver(() => this.layOut());
    this.keys = (event) => this.key(event);
    this.resized = () => this.form === "present" && this.layOut();
  }

  open() {
    this.watch.observe(this.box);
    this.mode.observe(document.documentElement, { attributeFilter: ["data-present"] });
    document.addEventListener("keydown", this.keys);
    window.addEventListener("resize", this.resized);
    this.intake.open();
  }

  close() {
    this.watch.disconnect();
    this.mode.disconnect();
    document.removeEventListener("keydown", this.keys);
    window.removeEventListener("resize", this.resized);
    this.intake.close();
    this.player.stop();
    if (walks.get(this.scene.key) === this) walks.delete(this.scene.key);
  }

  // Draws a walk. With the id of the one before, step, class and comparison stay.
  show(scene, send) {
    const [former, dark] = [this.scene, this.isDark()];
    this.send = send;
    walks.set(scene.key, this);
    this.open();
    this.box.classList.remove("waiting");
    if (scene === former && dark === this.dark) {
      this.intake.say();
      return;
    }
    const label = former?.classes[this.chosen]?.label;
    Object.assign(this, { scene, dark, tables: new Map() });
    const other = scene.id !== former?.id;
    const known = scene.classes.findIndex((one) => one.label === label);
    if (other || known < 0) Object.assign(this, { chosen: 0, compared: null });
    else this.chosen = known;
    if (other) {
      this.player.reset();
      document.fonts.ready.then(() => this.scene === scene && this.layOut());
    }
    this.box.classList.toggle("dark", dark);
    this.decode(scene.photo);
    for (const part of [this.photo, this.intake, this.wall, this.answer, this.compare]) part.load();
    this.layOut();
    const message = messages.get(scene.key);
    if (message) this.receive(message, true);
  }

  // The former photo stays while the browser reads the new one.
  decode(photo) {
    const { values } = this.array(photo.pixels);
    createImageBitmap(new Blob([values])).then((picture) => {
      if (photo !== this.scene.photo) return;
      this.picture = picture;
      this.photo.paint();
      this.paintMaps();
    });
  }

  isDark() {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = this.colour("--ground");
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(probe.fillStyle.slice(at, at + 2), 16));
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }

  colour(name) {
    return getComputedStyle(this.box).getPropertyValue(name).trim();
  }

  array(reference) {
    return this.scene.arrays[reference.array];
  }

  // A scale's 256 colours for this theme, as pixels.
  table(name) {
    if (!this.tables.has(name)) this.tables.set(name, pixelTable(this.colours(name)));
    return this.tables.get(name);
  }

  colours(name) {
    return this.array(this.scene.tables[name][this.dark ? 1 : 0]);
  }

  gradient(name) {
    const { values } = this.colours(name);
    const stops = Array.from({ length: 18 }, (_, at) => `rgb(${values.subarray(45 * at, 45 * at + 3)})`);
    return `linear-gradient(to right, ${stops})`;
  }

  buildLegend(parent, { colours, limits }, [name, low, high]) {
    parent.replaceChildren();
    element("span", "", parent, { text: `${name} ${low}`.trim() });
    const ramp = element("span", "ramp", parent);
    ramp.style.background = this.gradient(colours);
    if (limits[0] < 0 && limits[1] > 0) element("span", "zero", ramp).style.left = `${(100 * -limits[0]) / (limits[1] - limits[0])}%`;
    element("span", "", parent, { text: high });
  }

  get label() {
    return this.scene.classes[this.chosen].label;
  }

  get step() {
    return this.player.step;
  }

  get reached() {
    return this.player.reached;
  }

  get last() {
    return this.player.last;
  }

  get answered() {
    return this.reached >= this.last;
  }

  // Whether nothing is to move.
  get still() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  layOut() {
    const width = Math.round(this.box.clientWidth);
    if (!width || !this.scene) return;
    const present = document.documentElement.dataset.present === "1";
    const form = present ? "present" : width >= WIDE ? "wide" : width >= NARROW ? "medium" : "narrow";
    if (form === "present" && this.form !== form) this.player.reached = this.player.step;
    Object.assign(this, { width, form, scale: 1 });
    for (const name of ["present", "wide", "medium", "narrow"]) this.box.classList.toggle(name, name === form);
    let [side, middle] = [(width - 8) / 2, width];
    if (form === "wide") {
      this.scale = bounded(width / AT, LEAST, MOST);
      side = Math.round(SIDE * this.scale);
      middle = width - 2 * side - SPACES;
    } else if (form === "medium") side = Math.min(340, Math.round((width - 32) / 2));
    else if (present) {
      const [across, picture, spaces, down] = PRESENTED;
      this.scale = Math.min(width / across, innerHeight / down);
      side = Math.round(picture * this.scale);
      middle = width - 2 * side - spaces;
    }
    this.box.style.setProperty("--side", `${side}px`);
    this.box.style.setProperty("--scale", this.scale);
    this.sides = [side, middle];
    this.photo.layOut([side, this.photo.cropped ? side : side * TALLEST]);
    this.answer.layOut(form === "narrow" ? width : side, frame(this.scene.photo, this.scene.photo.seen, this.photo.size, this.photo.cropped));
    this.intake.say();
    this.arrange();
    // The hint needs room below the answer.
    this.hint.hidden = false;
    this.hint.hidden = this.right.offsetHeight > this.player.box.offsetTop + this.player.box.offsetHeight;
  }

  // What the middle shows: the wall, two classes, or what the server has sent.
  arrange() {
    const focused = Boolean(this.focused);
    this.wall.box.hidden = focused || this.compared !== null;
    this.host.hidden = !focused;
    this.aside.hidden = !focused;
    const two = this.compared !== null && !focused;
    this.compare.box.hidden = this.compare.channels.hidden = !two;
    this.box.classList.toggle("focused", focused);
    this.box.classList.toggle("comparing", two);
    const [side, middle] = this.sides;
    if (two) this.compare.layOut(middle, this.form === "narrow" ? middle : side);
    else if (!focused) this.wall.layOut(middle);
    this.showStep(false);
  }

  paintMaps() {
    this.answer.paint();
    if (this.compared && !this.focused) this.arrange();
  }

  // Shows the player's step.
  showStep(paint = true) {
    this.wall.axis.mark();
    this.player.say();
    this.answer.say();
    if (!paint) return;
    this.answer.paint();
    if (!this.wall.box.hidden) this.wall.paint(this.player.playing ? 0 : undefined);
  }

  go(step) {
    this.player.go(step);
  }

  choose(index) {
    if (this.compared) this.home();
    if (index === this.chosen) return;
    const from = this.chosen;
    this.chosen = index;
    this.answer.choose(from);
    this.wall.terms.choose();
    this.player.say();
  }

  compareWith(index) {
    this.player.stop();
    Object.assign(this.player, { step: this.last, reached: this.last });
    if (this.focused) this.home();
    this.compared = [this.chosen, index];
    this.arrange();
  }

  // Back to the wall.
  home() {
    if (this.focused) {
      this.closed = this.focused;
      this.leave();
      this.report({ action: "home" });
    }
    this.compared = null;
    this.arrange();
  }

  leave() {
    clearFocus(this.host, this.api());
    Object.assign(this, { focused: null, said: null });
    this.photo.showField(null);
  }

  // What the server shows in place of the wall, or null for the wall. One that a person has closed
  // may come again before the server knows.
  receive(message, again = false) {
    if (!message.content) {
      this.closed = null;
      if (this.focused) {
        this.leave();
        this.arrange();
      }
      return;
    }
    if (this.closed && same(this.closed.packed, message.packed)) return;
    if (!again && this.focused && same(this.focused.packed, message.packed)) return;
    this.focused = message;
    this.compared = null;
    this.player.stop();
    this.arrange();
    showFocus(this.host, message, this.api());
  }

  // What focus.js may use.
  api() {
    return {
      aside: this.aside,
      walk: this.scene,
      width: this.sides[1],
      form: this.form,
      still: this.still,
      tip: this.tip,
      report: (event) => this.report(event),
      array: (reference) => this.array(reference),
      table: (name) => this.table(name),
      gradient: (name) => this.gradient(name),
      colour: (name) => this.colour(name),
      showField: (box, options) => this.photo.showField(box, options),
      say: (text) => {
        this.said = text;
        this.player.say();
      },
      home: () => this.home(),
    };
  }

  report(event) {
    this.box.classList.add("waiting");
    this.send({ scene: this.scene.id, ...event });
  }

  // Keys are the walk's where no other element of the page has the keyboard.
  key(event) {
    const [target] = event.composedPath();
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const inside = event.composedPath().includes(this.box);
    if (!inside && !target.contains?.(this.box.getRootNode().host ?? this.box)) return;
    if (target.matches?.("input, select, textarea, [contenteditable]")) return;
    if (event.key === " " && target.matches?.("button, a")) return;
    const away = this.focused || this.compared;
    if (event.key === "Escape" && away) this.home();
    else if (away ? event.key !== " " : !["ArrowLeft", "ArrowRight", "Home", "End", " "].includes(event.key)) return;
    else this.player.key(event.key);
    event.preventDefault();
  }
}
