// Other photos: the strip of samples, a place to drop a file, and the camera.

import { button, element, write } from "./elements.js";

// Streamlit's own uploader, which is in the sidebar: it sends the file, and keeps it.
const UPLOADER = ".st-key-uploaded-photo";
const PATIENCE = 20_000; // milliseconds after which a file that has not come is not waited for
const LOOK = 250; // milliseconds between two looks for a refusal
// What says that a file is refused: the uploader, or the server above it. Both are in the sidebar,
// which may be closed.
const REFUSALS = `${UPLOADER} [aria-invalid="true"] [role="alert"], .st-key-photo-refusal p`;

const UPLOAD = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 10V2M4.8 5 8 1.8 11.2 5M1.5 10v4h13v-4"/></svg>';
const CAMERA =
  '<svg viewBox="0 0 18 16" aria-hidden="true"><path d="M2.5 4h3l1.2-2h4.6l1.2 2h3a1 1 0 0 1 1 1v8.5a1 1 0 0 1-1 1h-13a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z"/><circle cx="9" cy="9" r="3"/></svg>';

export class Intake {
  constructor(view, parent) {
    this.view = view;
    this.samples = element("div", "samples", parent, { role: "group", "aria-label": "Samples" });
    this.box = element("div", "intake", parent);
    this.zone = button("zone", this.box, "", () => this.choose());
    this.refused = element("p", "refused", parent, { role: "alert" });
    this.chosen = ({ target }) => this.expect(target.files[0]?.name);
    this.live = button("live", this.box, "", () => view.report({ action: "live" }));
    this.live.innerHTML = `${CAMERA}<span>Live</span>`;
    this.over = (event) => this.drag(event);
    this.drop = (event) => this.take(event);
  }

  open() {
    for (const name of ["dragover", "dragleave"]) document.addEventListener(name, this.over);
    document.addEventListener("drop", this.drop);
  }

  close() {
    for (const name of ["dragover", "dragleave"]) document.removeEventListener(name, this.over);
    document.removeEventListener("drop", this.drop);
    clearTimeout(this.timer);
    clearInterval(this.looking);
  }

  load() {
    const { samples, sample, camera } = this.view.scene;
    const names = JSON.stringify(samples.map(({ name, title }) => [name, title]));
    if (names !== this.names) {
      this.names = names;
      this.buildSamples(samples);
    }
    for (const [at, tile] of [...this.samples.children].entries()) {
      tile.setAttribute("aria-pressed", samples[at].name === sample);
    }
    this.live.hidden = !camera;
    this.refused.textContent = "";
    clearInterval(this.looking);
    this.say();
  }

  buildSamples(samples) {
    for (const image of this.samples.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.samples.replaceChildren();
    for (const { name, title, picture } of samples) {
      const act = () => {
        for (const tile of this.samples.children) tile.setAttribute("aria-pressed", tile === made);
        this.view.report({ action: "sample", name });
      };
      const made = button("sample", this.samples, "", act, { title, "aria-label": title });
      const file = new Blob([this.view.array(picture).values]);
      element("img", "", made, { src: URL.createObjectURL(file), alt: "" });
    }
    this.samples.hidden = !samples.length;
  }

  // What the zone says: that it waits for a photo, or reads one.
  say(name) {
    clearTimeout(this.timer);
    this.zone.classList.remove("over");
    this.zone.classList.toggle("reading", name !== undefined);
    this.zone.innerHTML = `${UPLOAD}<span></span>`;
    const touch = matchMedia("(pointer: coarse)").matches || this.view.form === "narrow";
    const waiting = [[`${touch ? "Choose" : "Drop"} a `, ""], ["photo", "strong"]];
    write(this.zone.lastChild, name === undefined ? waiting : [[`Reading ${name} …`, ""]]);
    if (name !== undefined) this.timer = setTimeout(() => this.say(), PATIENCE);
  }

  // Waits for a file's answer: a walk, or a refusal, which is shown here, too.
  expect(name) {
    if (name === undefined) return;
    this.say(name);
    const known = refusals();
    clearInterval(this.looking);
    this.looking = setInterval(() => {
      const found = refusals().findLast(([node, text]) => !known.some((one) => one[0] === node && one[1] === text));
      if (!found) return;
      clearInterval(this.looking);
      const [, text] = found;
      this.refused.textContent = text.includes(name) ? text : `${name}: ${text}`;
      this.say();
    }, LOOK);
  }

  choose() {
    const input = uploader();
    input?.addEventListener("change", this.chosen, { once: true });
    input?.click();
  }

  drag(event) {
    if (!event.dataTransfer?.types.includes("Files") || inUploader(event)) return;
    event.preventDefault();
    const left = event.type === "dragleave" && event.relatedTarget === null;
    this.zone.classList.toggle("over", !left);
  }

  take(event) {
    const [file] = event.dataTransfer?.files ?? [];
    this.zone.classList.remove("over");
    if (!file || inUploader(event)) return;
    event.preventDefault();
    const input = uploader();
    if (!input) return;
    this.expect(file.name);
    const transfer = new DataTransfer();
    transfer.items.add(file);
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

const uploader = () => document.querySelector(`${UPLOADER} input[type=file]`);

const refusals = () => [...document.querySelectorAll(REFUSALS)].map((node) => [node, node.textContent]);

const inUploader = (event) => event.target.closest?.('[data-testid="stFileUploader"]');
