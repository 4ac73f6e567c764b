// What a person has opened in place of the wall: a cell, a channel or a stage, which the server
// sends as a message of its own and focus.js draws.

import { same } from "./data.js";
import { element } from "./elements.js";
import { clearFocus, showFocus } from "./focus.js";

const FLIGHT = 220; // milliseconds

export class Opened {
  constructor(view, centre, right) {
    Object.assign(this, { view, message: null, closed: null, said: null, clicked: null });
    this.host = element("div", "focus", centre, { hidden: "" });
    this.aside = element("div", "aside", right, { hidden: "" });
  }

  // Shows what has come, or nothing, which means the wall. What a person has closed may come again
  // before the server knows.
  receive(message) {
    this.view.box.classList.remove("waiting");
    if (!message.content) {
      Object.assign(this, { closed: null, said: null });
      if (this.message) this.clear();
      else this.view.player.say();
      return;
    }
    if ([this.closed, this.message].some((one) => one && same(one.packed, message.packed))) return;
    Object.assign(this, { message, closed: null });
    this.view.player.stop();
    this.view.compared = null;
    this.view.arrange();
    this.draw();
    this.fly();
  }

  // Something has been asked for: the sentence says so until it comes. `from` is where on the
  // screen the tile is that was clicked.
  wait(event, from) {
    this.clicked = from && { ...event, from };
    if (this.message) return;
    this.said = [["Computing …", "quiet"]];
    this.view.player.say();
  }

  // The tile that was clicked goes to its place at the right.
  fly() {
    const { clicked, view, message } = this;
    this.clicked = null;
    const { name, channel } = message.content.frame.asked;
    const map = this.aside.querySelector(".f-cellmap");
    if (!map || view.still || view.form === "narrow" || clicked?.name !== name || clicked.channel !== channel) return;
    const [from, to] = [clicked.from, map.getBoundingClientRect()];
    const [x, y] = [from.left - to.left, from.top - to.top];
    const start = `translate(${x}px, ${y}px) scale(${from.width / to.width}, ${from.height / to.height})`;
    const origin = { transformOrigin: "0 0" };
    map.animate([{ ...origin, transform: start }, { ...origin, transform: "none" }], { duration: FLIGHT, easing: "ease-out" });
  }

  draw() {
    if (this.message) showFocus(this.host, this.message, this.api());
  }

  // Back to the wall, because a person wants to.
  close() {
    this.closed = this.message;
    this.clear();
    this.view.report({ action: "home" });
  }

  clear() {
    clearFocus(this.host, this.api());
    Object.assign(this, { message: null, said: null });
    this.view.photo.showField(null);
    this.view.arrange();
  }

  // What focus.js may use: the element at the right (aside), the walk's data, the width in the
  // middle, the form, whether nothing is to move, the lines at the mouse; colours, and arrays of
  // the walk by their reference; the box on the photo; the sentence; and the way home.
  api() {
    const { view, aside } = this;
    const { scene, middle, form, still, tip, theme } = view;
    return {
      aside,
      walk: scene,
      width: middle,
      form,
      still,
      tip,
      report: (event) => view.report(event),
      array: (reference) => view.array(reference),
      table: (name) => theme.table(name),
      gradient: (name) => theme.gradient(name),
      colour: (name) => theme.colour(name),
      showField: (box, options) => view.photo.showField(box, options),
      say: (text) => {
        this.said = text;
        view.player.say();
      },
      home: () => view.home(),
    };
  }
}
