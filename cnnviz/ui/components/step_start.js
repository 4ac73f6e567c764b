// Scrolls the page to its beginning when it shows another step: else a reader who pressed a button
// far below would be in the middle of the next one. step_start.py says which step it is.

export default function render({ data, parentElement }) {
  const before = parentElement.step;
  parentElement.step = data;
  if (before !== undefined && before !== data)
    document.querySelector('[data-testid="stMain"]').scrollTo({ top: 0 });
}
