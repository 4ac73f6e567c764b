// What replaces the wall when a person opens a cell, a channel or a stage.

export function showFocus(host, message) {
  host.textContent = message.content.kind;
}

export function clearFocus(host) {
  host.replaceChildren();
}
