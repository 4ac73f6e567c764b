// What components know of the page around them.

const PHONE = matchMedia("(max-width: 640px)");
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

// How much larger an element is on the screen than in its own pixels: a page that is presented is
// enlarged. Sizes of a fraction of a pixel are no enlargement.
export function enlargement(box) {
  const ratio = box.getBoundingClientRect().width / box.offsetWidth;
  return ratio > 1.01 ? ratio : 1;
}

// On a phone, what a tap shows is below the grid that was tapped on.
export function showBeside() {
  if (!PHONE.matches) return;
  const behavior = STILL.matches ? "auto" : "smooth";
  document.querySelector('[class*="st-key-beside"]')?.scrollIntoView({ behavior, block: "start" });
}
