// A link in a field, and a button that copies it. Browsers have a clipboard for scripts only where
// the page came by HTTPS or from the same machine; elsewhere the selected text is copied.

export default function render({ data, parentElement }) {
  const field = parentElement.querySelector("input");
  const button = parentElement.querySelector("button");
  if (!field.value) {
    field.addEventListener("focus", () => field.select());
    button.addEventListener("click", async () => {
      field.focus();
      button.textContent = (await copy(field)) ? "Copied" : "Press Ctrl+C";
    });
  }
  if (field.value !== data.link) {
    field.value = data.link;
    button.textContent = "Copy";
  }
}

function copy(field) {
  const copySelection = () => {
    field.select();
    return document.execCommand("copy");
  };
  const written = navigator.clipboard?.writeText(field.value);
  return written ? written.then(() => true, copySelection) : copySelection();
}
