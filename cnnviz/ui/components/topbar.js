// The bar over Streamlit's header: opens and closes the sidebar, and reports the buttons, and the
// keys that turn the pages while one is presented, to the server. topbar.py says what comes and goes.

const root = document.documentElement;
const PHONE = matchMedia("(max-width: 640px)");
// What arrow keys are for something else in.
const KEYED =
  "input, textarea, select, [contenteditable], [role=slider], [role=grid], [role=listbox], " +
  "[role=radiogroup], [role=tablist], [role=menu], [role=dialog], .js-plotly-plot";
// Pixels: the width of a page that is enlarged to the window's, so that 13 become 24 at 1280.
const PRESENTED = 693;
const TYPED = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";

const ICONS = {
  fold: '<path d="m5 8 5 5 5-5"/>',
  present: '<rect x="2" y="3" width="16" height="11" rx="1.5"/><path d="M7 17h6M10 14v3"/>',
  menu: '<path d="M2.5 5h15M2.5 10h15M2.5 15h15"/>',
  leave: '<path d="m5 5 10 10M15 5 5 15"/>',
  share:
    '<circle cx="15" cy="4.5" r="2.3"/><circle cx="5" cy="10" r="2.3"/>' +
    '<circle cx="15" cy="15.5" r="2.3"/><path d="m7 8.9 6-3.3m-6 5.5 6 3.3"/>',
};

let bar;
// The page, the network and the photo on the screen.
let shown;
// What is known of the networks, by title: the server finds it out after the bar is drawn.
const facts = new Map();

export default function render({ data, parentElement, setTriggerValue }) {
  if ("facts" in data) {
    facts.set(data.title, data.facts);
    bar?.showFacts();
    return undefined;
  }
  if (bar?.place !== parentElement) {
    bar?.close();
    bar = new Bar(parentElement);
  }
  bar.report = (action) => setTriggerValue("action", action);
  bar.show(data);
  return undefined;
}

class Bar {
  constructor(place) {
    this.place = place;
    // A selector that looks for the bar would be tried again after each change of the page.
    root.dataset.bar = "1";
    place.innerHTML = `
      <div class="topbar" role="group" aria-label="Model and page">
        <span class="logo">cnn<b>viz</b></span>
        <button class="model" aria-haspopup="true">
          <span class="name"></span> ${icon("fold")} <span class="facts"></span>
        </button>
        <button class="open">Open your model</button>
        <button class="present" aria-label="Present this page" title="Present this page (P)">
          ${icon("present")}</button>
        <button class="menu" aria-label="Pages, network and photo" title="Pages, network and photo">
          ${icon("menu")}</button>
        <button class="share" aria-label="Share this page" title="Share this page">
          ${icon("share")}</button>
        <button class="leave" aria-label="Stop presenting" title="Stop presenting (Esc)">
          ${icon("leave")}</button>
      </div>`;
    this.stop = new AbortController();
    const on = (name, act) => this.part(name).addEventListener("click", act);
    on("model", () => openSidebar(modelChoice));
    on("menu", () => openSidebar(firstLink));
    on("open", () => openSidebar(modelUpload));
    on("present", () => this.present(true));
    on("leave", () => this.present(false));
    on("share", () => this.report("share"));
    const { signal } = this.stop;
    window.addEventListener("keydown", (event) => this.press(event), { signal });
    window.addEventListener("beforeprint", measure, { signal });
    window.addEventListener("resize", () => mark(root.dataset.present === "1"), { signal });
  }

  close() {
    this.stop.abort();
  }

  part(name) {
    return this.place.querySelector(`.${name}`);
  }

  show({ title, choice, mayOpen, presenting }) {
    this.title = title;
    this.part("name").textContent = title;
    this.part("model").title = `Choose a network or a photo (now: ${title})`;
    this.part("open").hidden = !mayOpen;
    this.showFacts();
    mark(presenting);
    if (shown !== undefined && shown !== choice && PHONE.matches) closeSidebar();
    shown = choice;
  }

  showFacts() {
    this.part("facts").textContent = facts.get(this.title) ?? "";
  }

  // At once; the server keeps it in the address.
  present(presenting) {
    mark(presenting);
    this.report(presenting ? "present" : "leave");
  }

  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    const inside = (kinds) => event.composedPath().some((part) => part.matches?.(kinds));
    const presenting = root.dataset.present === "1";
    if (event.key === "p" && !event.repeat && !inside(TYPED)) this.present(!presenting);
    if (!presenting || !target) return;
    if (event.key === "Escape" && !document.querySelector("[role=dialog]")) this.present(false);
    const page = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (page && !inside(KEYED)) this.report(page);
  }
}

function icon(name) {
  return `<svg viewBox="0 0 20 20" aria-hidden="true">${ICONS[name]}</svg>`;
}

// Other parts of a page look for it, too.
function mark(presenting) {
  if (presenting) {
    root.dataset.present = "1";
    root.style.setProperty("--present-scale", Math.max(1, window.innerWidth / PRESENTED));
  } else {
    delete root.dataset.present;
    root.style.removeProperty("--present-scale");
  }
}

// How wide what is printed is laid out.
function measure() {
  const page = document.querySelector(".stMainBlockContainer");
  const { paddingLeft, paddingRight } = getComputedStyle(page);
  root.style.setProperty("--printed", page.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
}

// --- The sidebar --------------------------------------------------------------------------------

const find = (name) => document.querySelector(`[data-testid="${name}"]`);
const firstLink = () => find("stSidebarNavLink") ?? modelChoice();
const modelChoice = () => find("stSidebar")?.querySelector("[data-testid=stSelectbox] input");

function modelUpload() {
  const own = document.querySelector(".st-key-own-model details");
  if (own && !own.open) own.querySelector("summary").click();
  return own?.querySelector("[data-testid=stFileUploaderDropzone] button");
}

function openSidebar(control) {
  find("stExpandSidebarButton")?.click();
  focus(control, 40);
}

// The control may appear, and become visible, some frames later.
function focus(control, tries) {
  const found = control();
  found?.focus();
  if (document.activeElement !== found && tries) requestAnimationFrame(() => focus(control, tries - 1));
}

function closeSidebar() {
  find("stSidebarCollapseButton")?.querySelector("button")?.click();
}
