// Plays the photo's way through the network: a button, the sentence of the step, and the keys.

import { button, element, write } from "./elements.js";

const STAGE = 900; // milliseconds of a stage, after it has come in
const START = 600; // before the first

export class Player {
  constructor(view, parent) {
    this.view = view;
    this.box = element("section", "player", parent, { "aria-label": "Player" });
    this.button = button("play", this.box, "", () => this.toggle(), { "aria-label": "Play" });
    this.sentence = element("p", "sentence", this.box, { "aria-live": "polite" });
    this.count = element("span", "count", this.box);
    Object.assign(this, { step: 0, reached: 0, playing: false, begun: false });
  }

  // Everything is shown, and nothing plays.
  reset() {
    this.stop();
    Object.assign(this, { step: this.last, reached: this.last, begun: false });
  }

  // The number of the step with the answer; step 0 has the photo alone.
  get last() {
    const { stages, units } = this.view.scene;
    return stages.length + units.length + 1;
  }

  get text() {
    const { scene, form, compared, opened, chosen } = this.view;
    if (compared) return scene.compare;
    if (opened.said) return opened.said;
    if (this.step === 0 || (form === "narrow" && !this.begun)) return scene.start;
    const parts = [...scene.stages, ...scene.units];
    return (parts[this.step - 1] ?? scene.classes[chosen]).sentence;
  }

  say() {
    const text = JSON.stringify(this.text);
    if (text !== this.said) write(this.sentence, this.text);
    this.said = text;
    this.count.textContent = `${this.step + 1} of ${this.last + 1}`;
    this.button.classList.toggle("pause", this.playing);
    this.button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    this.view.box.classList.toggle("playing", this.playing);
  }

  // Whether something else takes the place of the wall.
  get away() {
    return this.view.compared || this.view.opened.message;
  }

  toggle() {
    if (this.away) this.view.home();
    if (this.playing) {
      this.stop();
      this.say();
      return;
    }
    const again = this.reached >= this.last;
    if (again) this.set(0, 0);
    if (this.view.still) {
      // Without motion each press is a step.
      this.set(this.step + 1, this.step + 1);
      return;
    }
    this.playing = true;
    this.say();
    this.timer = setTimeout(() => this.advance(), START);
  }

  advance() {
    this.set(this.step + 1, this.step + 1);
    const start = performance.now();
    const { wall } = this.view;
    const { step } = this;
    const paint = (now) => {
      if (this.step !== step || this.away) return;
      wall.paint(now - start);
      if (now - start < wall.fading) requestAnimationFrame(paint);
    };
    requestAnimationFrame(paint);
    if (this.step < this.last) this.timer = setTimeout(() => this.advance(), wall.fading + STAGE);
    else {
      this.stop();
      this.say();
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.playing = false;
  }

  // A step that a person has chosen. What is not reached stays hidden where the answer still is.
  go(step) {
    if (step < 0 || step > this.last) return;
    this.stop();
    const hides = this.reached < this.last || this.view.form === "present";
    this.set(step, hides ? step : this.last);
  }

  set(step, reached) {
    Object.assign(this, { step, reached, begun: true });
    this.view.showStep();
  }

  // Whether a key was one of the player's.
  key(key) {
    const steps = { ArrowLeft: this.step - 1, ArrowRight: this.step + 1, Home: 0, End: this.last };
    // While the walk is presented, a key beyond its steps turns the page.
    const beyond = key.startsWith("Arrow") && (steps[key] < 0 || steps[key] > this.last);
    if (beyond && this.view.form === "present") return false;
    if (key === " ") this.toggle();
    else if (key in steps) this.go(steps[key]);
    else return false;
    return true;
  }
}
