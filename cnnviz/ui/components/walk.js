// The walk: a photo's way through a network, on one screen. walk.py says what is in it. Steps,
// classes, comparison and what the mouse reads are answered here, without the server.

import { Answer } from "./answer.js";
import { Compare } from "./compare.js";
import { same, unpack } from "./data.js";
import { element } from "./elements.js";
import { FORMS, chooseForm } from "./forms.js";
import { frame } from "./frame.js";
import { Intake } from "./intake.js";
import { Opened } from "./opened.js";
import { PhotoPanel } from "./photo_panel.js";
import { Player } from "./player.js";
import { Theme } from "./theme.js";
import { Tip } from "./tip.js";
import { Wall } from "./wall.js";

const HINT = "Click any cell to see where its number comes from. <kbd>← →</kbd> step, <kbd>Space</kbd> plays.";

// The events that open something in place of the wall.
const OPENING = new Set(["cell", "map", "stage", "channel"]);

// The walks of this page by key, and what the server shows in place of their walls.
const walks = new Map();
const messages = new Map();

export default function render({ data, parentElement, setTriggerValue }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  const former = parentElement.walk?.packed;
  const scene = same(former, packed) ? parentElement.walk.scene : unpack(packed);
  if (scene.kind === "focus") {
    messages.set(scene.of, { ...scene, packed });
    walks.get(scene.of)?.opened.receive(messages.get(scene.of));
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
    const [left, centre, right] = ["left", "centre", "right"].map((name) => element("div", name, this.box));
    this.right = right;
    this.theme = new Theme(this.box);
    this.tip = new Tip(this.box);
    this.photo = new PhotoPanel(this, left);
    this.intake = new Intake(this, left);
    this.wall = new Wall(this, centre);
    this.opened = new Opened(this, centre, right);
    this.player = new Player(this, this.box);
    this.answer = new Answer(this, right);
    this.compare = new Compare(this, centre, right);
    this.hint = element("p", "hint", right);
    this.hint.innerHTML = HINT;
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
    const [former, dark] = [this.scene, this.theme.isDark()];
    this.send = send;
    walks.set(scene.key, this);
    this.open();
    this.box.classList.remove("waiting");
    if (scene === former && dark === this.dark) {
      this.intake.say();
      return;
    }
    const label = former?.classes[this.chosen]?.label;
    Object.assign(this, { scene, dark });
    this.box.classList.toggle("dark", dark);
    this.theme.load(scene);
    const known = scene.classes.findIndex((one) => one.label === label);
    const other = scene.id !== former?.id;
    if (other || known < 0) Object.assign(this, { chosen: 0, compared: null });
    else this.chosen = known;
    if (other) this.player.reset();
    // What is being computed belonged to the walk before.
    if (!this.opened.message) this.opened.said = null;
    if (!former) document.fonts.ready.then(() => this.layOut());
    if (scene !== former) this.decode(scene.photo);
    for (const part of [this.photo, this.intake, this.wall, this.answer, this.compare]) part.load();
    this.layOut();
    const message = messages.get(scene.key);
    if (message) this.opened.receive(message);
  }

  // The former photo stays while the browser reads the new one.
  decode(photo) {
    createImageBitmap(new Blob([this.array(photo.pixels).values])).then((picture) => {
      if (photo !== this.scene.photo) return;
      this.picture = picture;
      this.photo.paint();
      this.answer.paint();
      if (this.compared) this.compare.paint();
      this.pictured = photo;
      if (this.width) this.markPainted();
    });
  }

  // Says in the page which walk is painted in full: photo, wall, answer and map.
  markPainted() {
    if (this.pictured === this.scene.photo) this.box.dataset.painted = this.scene.id;
  }

  array(reference) {
    return this.scene.arrays[reference.array];
  }

  get label() {
    return this.scene.classes[this.chosen].label;
  }

  // Whether the answer is to be seen yet: while the photo is on its way people may guess.
  get answered() {
    return this.player.reached >= this.player.last;
  }

  // Whether nothing is to move.
  get still() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  layOut() {
    const width = Math.round(this.box.clientWidth);
    if (!width || !this.scene) return;
    const made = chooseForm(width, innerHeight, document.documentElement.dataset.present === "1");
    const { form, side, photoSize, cropped } = made;
    if (form === "present" && this.form !== form) this.player.reached = this.player.step;
    Object.assign(this, made, { width });
    for (const name of FORMS) this.box.classList.toggle(name, name === form);
    this.box.style.setProperty("--side", `${side}px`);
    this.box.style.setProperty("--scale", this.scale);
    this.photo.layOut(photoSize);
    const shown = this.scene.photo;
    this.answer.layOut(form === "narrow" ? width : side, frame(shown, shown.seen, photoSize, cropped));
    this.intake.say();
    this.arrange();
    this.opened.draw();
    // The hint needs room below the answer.
    this.hint.hidden = false;
    const { offsetTop, offsetHeight } = this.player.box;
    this.hint.hidden = this.right.offsetHeight > offsetTop + offsetHeight;
    this.markPainted();
  }

  // What the middle shows: the wall, two classes, or what the server has sent.
  arrange() {
    const focused = this.opened.message !== null;
    const two = Boolean(this.compared) && !focused;
    this.wall.box.hidden = focused || two;
    this.opened.host.hidden = this.opened.aside.hidden = !focused;
    this.compare.box.hidden = this.compare.channels.hidden = !two;
    this.box.classList.toggle("focused", focused);
    this.box.classList.toggle("comparing", two);
    if (two) this.compare.layOut(this.middle, this.form === "narrow" ? this.middle : this.side);
    else if (!focused) this.wall.layOut(this.middle);
    this.showStep(false);
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
    if (this.opened.message) this.opened.close();
    this.player.reset();
    this.compared = [this.chosen, index];
    this.arrange();
  }

  // Back to the wall.
  home() {
    this.compared = null;
    if (this.opened.message) this.opened.close();
    else this.arrange();
  }

  // Tells the server what a person did; `from` is the place on the screen of a tile that was opened.
  report(event, from = null) {
    this.box.classList.add("waiting");
    if (OPENING.has(event.action)) this.opened.wait(event, from);
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
    const { away } = this.player;
    if (event.key === "Escape" && away) this.home();
    else if ((away && event.key !== " ") || !this.player.key(event.key)) return;
    event.preventDefault();
  }
}
