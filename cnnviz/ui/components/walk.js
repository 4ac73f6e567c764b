// The walk: a photo's way through a network, on one screen.

import { unpack } from "./data.js";
import { element } from "./elements.js";

export default function render({ data, parentElement }) {
  const packed = data.byteOffset % 4 ? data.slice() : data;
  const scene = unpack(packed);
  if (scene.kind === "focus") return undefined;
  parentElement.textContent = "";
  element("pre", "walk", parentElement, { text: JSON.stringify(scene, null, 1).slice(0, 3000) });
  return undefined;
}
