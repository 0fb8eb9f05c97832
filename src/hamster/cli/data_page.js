"use strict";
/** One item after the other. Whatever comes from the data becomes text, never markup. */

/** @typedef {{text: string, image: string, note: string, path: PathJson|null}} Shown an instruction and what is to be seen of it */
/** @typedef {{paths: Shown[], facts: string[][], left_out?: string}} Item */

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const read = (/** @type {string} */ id) => JSON.parse(byId(id).textContent);

/** @type {Item[]} */
const items = read("items");
const words = items.map(({ paths, facts }) => [...paths, ...facts.map(([, text]) => ({ text }))].map(({ text }) => text).join("\n").toLowerCase());
let shown = items.map((_, i) => i); // that the filter lets through
let present = 0; // index into `items`
let chosen = 0; // index into the item's paths

/**
 * Return an element with text and attributes.
 * @param {string} name
 * @param {string} [text]
 * @param {Object<string, string>} [attributes]
 */
function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** @param {HTMLElement} list @param {string[][]} facts */
function fillFacts(list, facts) {
  const pairs = facts.filter(([, text]) => text).flatMap(([name, text]) => [element("dt", name), element("dd", text)]);
  list.replaceChildren(...pairs);
}

/** @param {Item} item */
function titleOf(item) {
  return item.paths[0]?.text || item.facts[0]?.[1] || "";
}

function fillList() {
  byId("count").textContent = shown.length === items.length ? `${items.length} items` : `${shown.length} of ${items.length} items`;
  byId("list").replaceChildren(...shown.map((index) => {
    const item = items[index];
    const row = element("li");
    const button = element("button", "", { type: "button", "data-index": String(index) });
    if (item.paths[0]?.image) button.append(element("img", "", { src: item.paths[0].image, alt: "", loading: "lazy" }));
    button.append(element("span", `${index + 1}. ${titleOf(item)}`, item.left_out ? { class: "left-out" } : {}));
    row.append(button);
    return row;
  }));
}

function show() {
  const item = items[present];
  const rank = shown.indexOf(present);
  byId("place").value = items.length ? `${present + 1} of ${items.length}` : "none";
  byId("previous").disabled = rank <= 0;
  byId("next").disabled = rank < 0 || rank >= shown.length - 1;
  if (!item) return;
  history.replaceState(null, "", `#${present + 1}`);
  byId("list").querySelector("[aria-current]")?.removeAttribute("aria-current");
  const row = byId("list").querySelector(`[data-index="${present}"]`);
  row?.setAttribute("aria-current", "true");
  if (row) scrollWithin(byId("list"), row);
  byId("paths").replaceChildren(...item.paths.map((path, i) => {
    const entry = element("li");
    const button = element("button", path.text, { type: "button", "aria-pressed": String(i === chosen), "data-path": String(i) });
    const about = [path.note, path.path && `${path.path.uv.length} waypoints`, path.path?.score != null && `score ${path.path.score}`];
    button.append(element("small", about.filter(Boolean).join(", ")));
    entry.append(button);
    return entry;
  }));
  fillFacts(byId("facts"), item.facts);
  const { image, text } = item.paths[chosen] ?? { image: "", text: "" };
  byId("stage").hidden = !image;
  if (image) {
    byId("picture").alt = `Image with the path for: ${text}`;
    byId("picture").src = image;
  }
  draw();
  for (const near of [shown[rank - 1], shown[rank + 1]]) {
    const next = near === undefined ? "" : items[near].paths[0]?.image;
    if (next) new Image().src = next;
  }
}

/** @param {HTMLElement} list @param {HTMLElement} row */
function scrollWithin(list, row) {
  const [outer, inner] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top;
  if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
}

function draw() {
  const canvas = byId("drawing");
  const picture = byId("picture");
  if (picture.naturalWidth) byId("stage").style.setProperty("--ratio", String(picture.naturalWidth / picture.naturalHeight));
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const path = items[present]?.paths[chosen]?.path;
  if (!path || !byId("is-path-shown").checked || !picture.naturalWidth) return;
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  drawPath(context, waypointsOf(path), ({ u, v }) => ({ x: u * width, y: v * height }));
}

/** @param {number} index */
function go(index) {
  present = index;
  chosen = 0;
  show();
}

/** @param {number} by */
function step(by) {
  const next = shown[shown.indexOf(present) + by];
  if (next !== undefined) go(next);
}

byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("is-path-shown").addEventListener("change", draw);
byId("picture").addEventListener("load", draw);
new ResizeObserver(draw).observe(byId("stage"));
byId("list").addEventListener("click", (/** @type {any} */ event) => {
  const button = event.target.closest("button");
  if (button) go(Number(button.dataset.index));
});
byId("paths").addEventListener("click", (/** @type {any} */ event) => {
  const button = event.target.closest("button");
  if (!button) return;
  chosen = Number(button.dataset.path);
  show();
  byId("paths").querySelector(`[data-path="${chosen}"]`).focus();
});
byId("filter").addEventListener("input", () => {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = items.map((_, i) => i).filter((i) => wanted.every((/** @type {string} */ word) => words[i].includes(word)));
  fillList();
  if (shown.length && !shown.includes(present)) go(shown[0]);
  else show();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === byId("filter")) return;
  if (event.key === "/") byId("filter").focus();
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowRight") step(1);
  else return;
  event.preventDefault();
});

const { facts, starts, ends } = read("counted");
fillFacts(byId("statistics"), facts);
for (const [name, counts] of /** @type {[string, number[][]][]} */ ([["where paths start", starts], ["where paths end", ends]])) {
  const most = Math.max(1, ...counts.flat());
  const map = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  map.setAttribute("viewBox", `0 0 ${counts.length} ${counts.length}`);
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", `Map of ${name}: darker means more`);
  counts.forEach((row, y) => row.forEach((count, x) => {
    const cell = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const parts = { x, y, width: 1, height: 1, fill: "#4a4ac9", "fill-opacity": Math.sqrt(count / most) };
    for (const [key, value] of Object.entries(parts)) cell.setAttribute(key, String(value));
    map.append(cell);
  }));
  const figure = element("figure");
  figure.append(map, element("figcaption", name));
  byId("maps").append(figure);
}
fillList();
const asked = Number(location.hash.slice(1)) - 1;
go(items[asked] ? asked : 0);
