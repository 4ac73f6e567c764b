// The forms of the walk, from a phone to a wall in a classroom, and how large its parts are.

import { bounded } from "./pixels.js";

const [WIDE, NARROW] = [1100, 700]; // pixels of the walk's width
const [AT, SIDE, SPACES] = [1216, 252, 60]; // pixels: of a wide walk, its sides, between its columns
const [LEAST, MOST] = [0.85, 1856 / 1216]; // scales
const TALLEST = 4 / 3; // of a photo, by its column's width
const TALLEST_WIDE = 1.16; // so that the walk, and what is below it, fits into 720 pixels
const [BESIDE, LARGEST_BESIDE] = [32, 384]; // pixels between photo and answer above the wall; of each
const PRESENTED = { width: 1184, height: 720, side: 372, spaces: 56 }; // pixels of a walk, presented

export const FORMS = ["present", "wide", "medium", "narrow"];

// The form for a width and a window's height: the sides of photo and map, the width of the wall, the
// scale of both, and whether the photo is cut to what the network saw.
export function chooseForm(width, height, presented) {
  if (presented) {
    const scale = Math.min(width / PRESENTED.width, height / PRESENTED.height);
    const side = Math.round(PRESENTED.side * scale);
    return { form: "present", scale, side, middle: width - 2 * side - PRESENTED.spaces, photoSize: [side, side], cropped: true };
  }
  if (width >= WIDE) {
    const scale = bounded(width / AT, LEAST, MOST);
    const side = Math.round(SIDE * scale);
    return { form: "wide", scale, side, middle: width - 2 * side - SPACES, photoSize: [side, side * TALLEST_WIDE], cropped: false };
  }
  if (width >= NARROW) {
    const side = Math.min(LARGEST_BESIDE, Math.round((width - BESIDE) / 2));
    return { form: "medium", scale: 1, side, middle: width, photoSize: [side, side * TALLEST], cropped: false };
  }
  const side = (width - 8) / 2;
  return { form: "narrow", scale: 1, side, middle: width, photoSize: [side, side * TALLEST], cropped: true };
}
