// The camera as a stream. One frame of it is on its way to the server at a time: the next one is
// sent when the answer to the last one is there, so that the pace follows the server's.

import { closeCamera, openCamera, reasonFor, still } from "./camera.js";
import { unpack } from "./data.js";
import { button, element, isDark } from "./elements.js";
import { evidence, paintEvidence, paintGrey } from "./evidence.js";
import { enlargement } from "./page.js";
import { pixelTable } from "./pixels.js";

const QUALITY = 0.85; // of a frame's JPEG file
const PATIENCE = 8000; // milliseconds without an answer, after which another frame is sent
const MAP_SIDE = 240; // pixels of the enlarged map's longer side

export default function render({ data, parentElement, setTriggerValue }) {
  parentElement.live ??= new Live(parentElement);
  const { live } = parentElement;
  live.show(unpack(data.byteOffset % 4 ? data.slice() : data), (event) => setTriggerValue("event", event));
  return () => live.stop();
}

class Live {
  constructor(root) {
    this.box = element("div", "live", root);
    this.video = element("video", "", null, { muted: "", playsinline: "" });
    this.video.muted = true;
    this.buildAnswer();
    const seen = element("div", "panel", this.box);
    this.sign = element("div", "sign", seen, { role: "status", text: "Starting the camera …" });
    this.picture = element("canvas", "", seen, { role: "img", "aria-label": "The camera's picture" });
    element("p", "quiet", seen, { text: "Frames are looked at and thrown away: none is kept." });
    const map = element("div", "panel", this.box);
    this.head = element("div", "head", map, { text: "Evidence" });
    this.map = element("canvas", "", map, { role: "img", "aria-label": "The evidence for the class" });
    this.legend = element("p", "quiet", map);
    for (const [side, text] of [
      ["for", "Orange"],
      ["", " speaks for the class, "],
      ["against", "blue"],
      ["", " against it."],
    ]) {
      element("span", side, this.legend, { text });
    }
    Object.assign(this, { number: 0, waiting: 0, answer: null, target: null, stream: null, stopped: false });
  }

  buildAnswer() {
    const answer = element("div", "panel answer", this.box, { role: "group", "aria-label": "Answer" });
    const headline = element("div", "headline", answer);
    this.name = element("div", "name", headline, { "aria-live": "polite" });
    this.share = element("div", "share", headline);
    this.chips = element("div", "chips", answer, { role: "group", "aria-label": "Class" });
    const actions = element("div", "actions", answer);
    this.keep = button("primary", actions, "Use this picture", () => this.take());
    button("", actions, "Stop the camera", () => this.end());
    this.problem = element("p", "problem", answer, { role: "alert" });
  }

  async show(scene, send) {
    Object.assign(this, { scene, send });
    if (this.stream === null) await this.start();
    const { answer } = scene;
    if (answer !== null && answer.number >= this.number) {
      this.waiting = 0;
      this.explain(answer);
      this.next();
    }
  }

  async start() {
    this.stream = undefined; // On its way.
    try {
      this.stream = await openCamera();
      // The page was left while the browser asked for the camera.
      if (this.stopped) {
        this.stop();
        return;
      }
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch (error) {
      this.sign.textContent = "No camera";
      this.problem.textContent = reasonFor(error);
      this.keep.disabled = true;
      return;
    }
    this.sign.textContent = "Camera on";
    this.sign.classList.add("on");
    this.paint();
    this.next();
  }

  // The picture moves at the camera's pace, the map at the server's.
  paint() {
    if (!this.stream?.active) return;
    requestAnimationFrame(() => this.paint());
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || document.hidden) return;
    const across = Math.round(this.map.clientWidth * (devicePixelRatio || 1) * enlargement(this.map));
    const down = Math.round((across * height) / width);
    const seen = this.answer?.seen ?? [0, 0, 1, 1];
    const place = [seen[0] * across, seen[1] * down, seen[2] * across, seen[3] * down];
    for (const canvas of [this.picture, this.map]) {
      canvas.style.aspectRatio = `${width} / ${height}`;
      if (canvas.width !== across) canvas.width = across;
      if (canvas.height !== down) canvas.height = down;
    }
    const picture = this.picture.getContext("2d");
    picture.drawImage(this.video, 0, 0, across, down);
    picture.fillStyle = "rgb(255 255 255 / 45%)";
    picture.fill(outside(place, across, down), "evenodd");
    const map = this.map.getContext("2d");
    paintGrey(map, this.video, [0, 0, across, down]);
    if (this.evidence) paintEvidence(map, this.evidence, place, 1);
    if (this.waiting && performance.now() - this.waiting > PATIENCE) {
      this.waiting = 0;
      this.next();
    }
  }

  next() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.stream?.active || this.waiting || !width) return;
    const scale = Math.min(1, this.scene.side / Math.min(width, height));
    this.number += 1;
    this.waiting = performance.now();
    const { number, target } = this;
    this.send({ action: "frame", number, target, picture: this.jpeg(width * scale, height * scale) });
  }

  jpeg(width, height) {
    const { videoWidth, videoHeight } = this.video;
    return still(this.video, [0, 0, videoWidth, videoHeight], [width, height], QUALITY);
  }

  explain(answer) {
    this.problem.textContent = answer.problem;
    if (answer.problem) return;
    this.answer = answer;
    const { values, shape } = this.scene.arrays[answer.values.array];
    const [h, w] = shape;
    const dark = isDark(this.box);
    this.box.classList.toggle("dark", dark);
    const table = pixelTable(this.scene.arrays[this.scene.tables["blue-orange"][dark ? 1 : 0].array]);
    const share = MAP_SIDE / Math.max(h, w);
    const size = [Math.round(h * share), Math.round(w * share)];
    this.evidence = evidence({ values, h, w, limit: answer.limit, table, size, contours: [0.2, 0.4, 0.6] });
    const shown = answer.classes.find(([name]) => name === answer.target) ?? answer.classes[0];
    this.head.textContent = `Evidence for ${answer.target}`;
    // Only what is new: a reader of the screen is told each change of the name.
    if (this.name.textContent !== shown[0]) [this.name.textContent] = shown;
    [, this.share.textContent] = shown;
    this.showChips(answer);
  }

  // The chips stay, so that a click is not lost while an answer comes. The pressed one is the class
  // on the screen; a second click on it goes back to whichever is the likeliest.
  showChips({ classes, target }) {
    while (this.chips.childElementCount > classes.length) this.chips.lastChild.remove();
    for (const [at, [name, probability]] of classes.entries()) {
      const chip = this.chips.children[at] ?? button("chip", this.chips, "", () => this.choose(chip.name));
      chip.name = name;
      chip.textContent = `${name} ${probability}`;
      chip.setAttribute("aria-pressed", name === (this.target ?? target));
    }
  }

  choose(name) {
    this.target = this.target === name ? null : name;
    this.showChips(this.answer);
  }

  take() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const picture = this.jpeg(width, height);
    this.stop();
    this.send({ action: "take", number: this.number, picture });
  }

  end() {
    this.stop();
    this.send({ action: "stop" });
  }

  stop() {
    this.stopped = true;
    closeCamera(this.stream);
    this.sign.classList.remove("on");
    this.sign.textContent = "Camera off";
  }
}

function outside([left, top, width, height], across, down) {
  const path = new Path2D();
  path.rect(0, 0, across, down);
  path.rect(left, top, width, height);
  return path;
}
