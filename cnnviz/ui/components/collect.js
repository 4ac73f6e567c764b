// The photos of a class as a person collects them: small pictures that can be taken away, and the
// camera, which takes several while its button is held.

import { closeCamera, openCamera, reasonFor, still } from "./camera.js";
import { unpack } from "./data.js";
import { button, element } from "./elements.js";

const BEAT = 250; // milliseconds between two photos while the button is held
const MOST = 30; // photos of one hold
const QUALITY = 0.92; // of a photo's JPEG file

// The class whose camera is on: one at a time.
let filming = null;

export default function render({ data, parentElement, setTriggerValue }) {
  parentElement.collect ??= new Collect(parentElement);
  const { collect } = parentElement;
  collect.show(unpack(data.byteOffset % 4 ? data.slice() : data), (event) => setTriggerValue("event", event));
  return () => collect.close();
}

class Collect {
  constructor(root) {
    const box = element("div", "collect", root);
    this.head = element("div", "head", box);
    this.count = element("p", "count", this.head, { "aria-live": "polite" });
    this.camera = button("", this.head, "", () => this.toggle());
    this.problem = element("p", "problem", box, { role: "alert" });
    this.film = element("div", "film", box);
    this.film.hidden = true;
    this.video = element("video", "", this.film, { playsinline: "", "aria-label": "The camera's picture" });
    this.video.muted = true;
    this.hold = button("primary", this.film, "Hold to take photos", (event) => this.single(event));
    this.photos = element("div", "photos", box, { role: "list" });
    Object.assign(this, { stream: null, burst: null, keys: "" });
    this.listen();
  }

  listen() {
    const { hold } = this;
    hold.addEventListener("pointerdown", (event) => {
      // A finger that stays would otherwise open the browser's menu, or scroll.
      event.preventDefault();
      hold.setPointerCapture(event.pointerId);
      this.begin();
    });
    for (const name of ["pointerup", "pointercancel", "blur"]) hold.addEventListener(name, () => this.end());
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    hold.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.begin();
    });
    hold.addEventListener("keyup", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      this.end();
    });
  }

  show(scene, send) {
    Object.assign(this, { scene, send });
    this.photos.setAttribute("aria-label", `Photos of ${scene.name}`);
    this.nameCamera();
    this.tell();
    const keys = JSON.stringify(scene.photos.map(({ key }) => key));
    if (keys === this.keys) return;
    this.keys = keys;
    this.clear();
    for (const [at, { key, picture }] of scene.photos.entries()) {
      const photo = element("div", "photo", this.photos, { role: "listitem" });
      const file = new Blob([scene.arrays[picture.array].values]);
      element("img", "", photo, { src: URL.createObjectURL(file), alt: `Photo ${at + 1}` });
      const label = `Remove photo ${at + 1} of ${scene.name}`;
      button("remove", photo, "×", () => this.send({ action: "remove", photo: key }), { "aria-label": label });
    }
    this.photos.scrollTop = this.photos.scrollHeight;
  }

  // For readers of the screen with the class, since each has a camera.
  nameCamera() {
    const text = this.stream === null ? "Camera" : "Stop the camera";
    this.camera.textContent = text;
    this.camera.setAttribute("aria-label", `${text} for ${this.scene.name}`);
    this.camera.setAttribute("aria-expanded", this.stream !== null);
  }

  tell() {
    const { photos, enough } = this.scene;
    const taken = photos.length + (this.burst?.pictures.length ?? 0);
    this.count.textContent = `${taken} ${taken === 1 ? "photo" : "photos"} · ${enough} are enough`;
  }

  clear() {
    for (const image of this.photos.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.photos.replaceChildren();
  }

  async toggle() {
    if (this.stream !== null) {
      this.stop();
      return;
    }
    // The browser is asking the person, or opening it.
    if (filming === this) return;
    filming?.stop();
    filming = this;
    this.problem.textContent = "";
    try {
      const stream = await openCamera();
      // Meanwhile another class's camera was switched on, or the page was left.
      if (filming !== this) {
        closeCamera(stream);
        return;
      }
      this.stream = stream;
      this.video.srcObject = stream;
      this.film.hidden = false;
      await this.video.play();
    } catch (error) {
      this.stop();
      this.problem.textContent = reasonFor(error);
      return;
    }
    this.nameCamera();
  }

  begin() {
    if (this.burst !== null || !this.stream?.active) return;
    const pictures = [];
    const take = () => {
      const picture = this.square();
      if (picture === null) return;
      pictures.push(picture);
      this.tell();
      if (pictures.length === MOST) this.end();
    };
    this.burst = { pictures, timer: setInterval(take, BEAT) };
    this.hold.classList.add("held");
    take();
  }

  end() {
    if (this.burst === null) return;
    const { pictures, timer } = this.burst;
    clearInterval(timer);
    this.burst = null;
    this.hold.classList.remove("held");
    if (pictures.length) this.send({ action: "photos", pictures });
  }

  // A click that no finger, mouse or key made: a reader of the screen did.
  single(event) {
    if (event.detail !== 0 || !this.stream?.active) return;
    this.begin();
    this.end();
  }

  // The middle of the picture, as small as networks take it.
  square() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const side = Math.min(width, height);
    const size = Math.min(side, this.scene.side);
    return still(this.video, [(width - side) / 2, (height - side) / 2, side, side], [size, size], QUALITY);
  }

  stop() {
    this.end();
    closeCamera(this.stream);
    this.stream = null;
    if (filming === this) filming = null;
    this.film.hidden = true;
    this.nameCamera();
  }

  close() {
    clearInterval(this.burst?.timer);
    this.burst = null;
    this.stop();
    this.clear();
    this.keys = "";
  }
}
