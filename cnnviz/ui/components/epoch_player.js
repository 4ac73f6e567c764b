// Plays the epochs of a training. All of them are here: to play, step and wipe needs no server.
// epoch_player.py says what is sent.

import { same, unpack } from "./data.js";
import { button, element, isDark } from "./elements.js";
import { EpochEvidence } from "./epoch_evidence.js";
import { bounded } from "./pixels.js";
import { Theme } from "./theme.js";
import { Viewer } from "./viewer.js";

const EPOCH = 900; // milliseconds of an epoch at the speed 1
const SPEEDS = [0.5, 1, 2, 4];
const PHONE = matchMedia("(max-width: 640px)");
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export default function render({ data, parentElement }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  parentElement.player ??= new EpochPlayer(parentElement);
  const { player } = parentElement;
  player.show(packed);
  return () => player.close();
}

class EpochPlayer {
  constructor(root) {
    this.box = element("div", "epochs", root);
    this.theme = new Theme(this.box);
    Object.assign(this, { at: 0, speed: 1, playing: false, wiping: false, share: 0.5 });
    this.buildControls();
    this.caption = element("p", "caption", this.box, { "aria-live": "polite" });
    this.panels = element("div", "panels", this.box);
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  buildControls() {
    const bar = element("div", "controls", this.box);
    const modes = element("div", "modes", bar, { role: "group", "aria-label": "What to show" });
    this.modes = ["Replay", "Before | after"].map((text, at) => button("", modes, text, () => this.setWiping(at === 1)));
    this.replay = element("div", "row", bar);
    this.play = button("play", this.replay, "", () => this.toggle());
    button("step", this.replay, "◀", () => this.go(this.at - 1), { "aria-label": "One epoch back", title: "One epoch back (←)" });
    button("step", this.replay, "▶", () => this.go(this.at + 1), { "aria-label": "One epoch on", title: "One epoch on (→)" });
    this.slider = element("input", "", this.replay, { type: "range", min: 0, step: 1, "aria-label": "Epoch" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    const speed = this.list(this.replay, "Speed", (value) => {
      this.speed = SPEEDS[value];
    });
    speed.replaceChildren(...SPEEDS.map((one, at) => option(at, `${one} ×`)));
    speed.value = SPEEDS.indexOf(1);
    this.wipe = element("div", "row", bar);
    this.lists = ["Before", "After"].map((name) => this.list(this.wipe, name, () => this.paint()));
    this.wiper = element("input", "", this.wipe, { type: "range", min: 0, max: 100, value: 50, "aria-label": "How much of the epoch before is shown" });
    this.wiper.addEventListener("input", () => this.setShare(Number(this.wiper.value) / 100));
    this.lists[1].parentElement.before(this.wiper);
  }

  // A labelled list of options.
  list(parent, name, act) {
    const label = element("label", "", parent, { text: name });
    const made = element("select", "", label);
    made.addEventListener("change", () => act(Number(made.value)));
    return made;
  }

  close() {
    this.watch?.disconnect();
    for (const grid of this.grids) grid.close();
  }

  // Shows other epochs. Who is at the last one stays at the last one.
  show(packed) {
    const dark = isDark(this.box);
    const former = this.scene;
    if (!same(this.packed, packed) || dark !== this.dark) {
      Object.assign(this, { packed, dark, scene: unpack(packed) });
      this.box.classList.toggle("dark", dark);
      this.theme.load(this.scene);
      const names = this.scene.epochs.map(({ name }) => name);
      const kept = names.indexOf(former?.epochs[this.at]?.name);
      const stays = former?.id === this.scene.id && kept >= 0 && (this.playing || this.at < former.epochs.length - 1);
      this.at = stays ? kept : names.length - 1;
      this.slider.max = names.length - 1;
      this.fillLists(former?.epochs ?? []);
      this.build();
    }
    this.watch.observe(this.panels);
    this.setWiping(this.wiping);
  }

  // The first and the last epoch, unless others are chosen.
  fillLists(former) {
    const { epochs } = this.scene;
    for (const [which, list] of this.lists.entries()) {
      const end = which ? former.length - 1 : 0;
      const kept = Number(list.value) === end ? -1 : epochs.findIndex(({ name }) => name === former[list.value]?.name);
      list.replaceChildren(...epochs.map(({ name }, at) => option(at, name)));
      list.value = kept >= 0 ? kept : which ? epochs.length - 1 : 0;
    }
  }

  build() {
    const { evidence, grids } = this.scene;
    this.watch ??= new ResizeObserver(() => this.panels.clientWidth !== this.width && this.layOut());
    const parts = JSON.stringify(grids.map(({ name }) => name));
    if (parts !== this.parts) {
      this.parts = parts;
      this.panels.replaceChildren();
      this.evidence = new EpochEvidence(this, element("div", "panel", this.panels));
      this.grids = grids.map(({ name }) => new Viewer(element("div", `panel ${name}`, this.panels)));
    }
    this.evidence.load(evidence);
  }

  layOut() {
    this.width = this.panels.clientWidth;
    if (!this.width) return;
    this.evidence.layOut();
    this.paint();
  }

  setWiping(wiping) {
    this.wiping = wiping;
    if (wiping) this.stop();
    for (const [at, one] of this.modes.entries()) one.setAttribute("aria-pressed", wiping === (at === 1));
    this.replay.hidden = wiping;
    this.wipe.hidden = !wiping;
    this.layOut();
  }

  setShare(share) {
    this.share = share;
    this.tellShare();
    for (const grid of this.grids) grid.wipe(share);
  }

  tellShare() {
    this.wiper.setAttribute("aria-valuetext", `${Math.round(100 * this.share)} % before`);
    this.evidence.wipe(this.share);
  }

  // The epoch that is shown, and the one that it is compared with; null for none.
  get shown() {
    if (!this.wiping) return [this.at, null];
    const [before, after] = this.lists.map(({ value }) => Number(value));
    return [after, before];
  }

  paint() {
    const [at, before] = this.shown;
    const { epochs } = this.scene;
    this.slider.value = at;
    this.slider.setAttribute("aria-valuetext", epochs[at].caption);
    this.caption.setAttribute("aria-live", this.playing ? "off" : "polite");
    this.say(before === null ? [at] : [before, at]);
    this.play.classList.toggle("pause", this.playing);
    this.play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    this.evidence.show(at, before);
    for (const [which, grid] of this.grids.entries()) {
      grid.share = before === null ? 0 : this.share;
      grid.show(this.sceneOf(this.scene.grids[which], at, before), () => {});
    }
    this.tellShare();
  }

  // The captions of epochs, side by side.
  say(shown) {
    const texts = shown.map((at) => this.scene.epochs[at].caption);
    if (texts.join("|") === this.said) return;
    this.said = texts.join("|");
    this.caption.replaceChildren(...texts.map((text) => element("span", "", null, { text })));
  }

  // The grid of one epoch, as viewer.js draws it.
  sceneOf(grid, at, before) {
    const { arrays, tables, id } = this.scene;
    const { values, shape } = arrays[grid.values.array];
    const size = shape.slice(1).reduce((product, side) => product * side, 1);
    const one = (epoch) => ({ values: values.subarray(epoch * size, (epoch + 1) * size), shape: shape.slice(1) });
    const { name, title, limits, legend, unit, cell, sentences } = grid;
    const tiles = { name, limits, unit, cell, sentences, names: [], label: title, colours: legend.colours, opens: false };
    Object.assign(tiles, { values: { array: arrays.length }, before: before === null ? null : { array: arrays.length + 1 } });
    // In half of a phone's width as square as the photo beside it.
    const columns = PHONE.matches && name === "filters" ? Math.ceil(Math.sqrt(shape[1])) : null;
    return {
      id: `${id} ${name} ${columns}`,
      columns,
      key: `epochs ${name}`,
      title,
      legend,
      keys: [],
      tables,
      arrays: [...arrays, one(at), one(before ?? at)],
      regions: [{ items: [tiles], size: null, narrow_size: null }],
    };
  }

  get last() {
    return this.scene.epochs.length - 1;
  }

  // An epoch that a person has chosen.
  go(at) {
    this.stop();
    this.at = bounded(at, 0, this.last);
    this.paint();
  }

  toggle() {
    if (this.playing) {
      this.stop();
      this.paint();
      return;
    }
    const from = this.at === this.last ? -1 : this.at;
    if (STILL.matches) {
      // Without motion each press is a step.
      this.go(from + 1);
      return;
    }
    this.playing = true;
    if (from < 0) this.at = 0;
    this.paint();
    this.wait();
  }

  wait() {
    this.timer = setTimeout(() => this.advance(), EPOCH / this.speed);
  }

  advance() {
    if (!this.box.isConnected || this.at >= this.last) {
      this.stop();
      this.paint();
      return;
    }
    this.at += 1;
    this.paint();
    this.wait();
  }

  stop() {
    clearTimeout(this.timer);
    this.playing = false;
  }

  // Keys of the player; those that a slider, a list, a button or a grid takes are its own.
  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    const steps = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.last };
    if (this.wiping || target.tagName === "SELECT") return;
    if (key in steps && target.tagName !== "INPUT") this.go(steps[key]);
    else if (key === " " && target.tagName !== "BUTTON") this.toggle();
    else return;
    event.preventDefault();
  }
}

function option(value, text) {
  return element("option", "", null, { value, text });
}
