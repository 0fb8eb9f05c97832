/** The panel of a fine-tuning: how far it is, and its curves. */

import { byId, element, say } from "./dom.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {{name: string, status: string, message: string, step: number, steps: number, seconds_left: number|null,
 *   loss: number[][], kept: number[][], known: number[][]}} FineTuning */

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 150, 42, 22];
const SVG = "http://www.w3.org/2000/svg";
/** What `hamster/studio/finetuning.py` asks for at least. */
const FEWEST_EXAMPLES = 10;

/**
 * Bring the panel up to date.
 * @param {Model} model
 */
export function showFineTuning({ state }) {
  const { fine_tuning: tuning, kept } = state;
  const isGoingOn = ["labelling", "training"].includes(tuning?.status);
  byId("fine-tune-form").hidden = !kept;
  /** @type {HTMLButtonElement} */ (byId("fine-tune")).disabled = isGoingOn || kept < FEWEST_EXAMPLES;
  say(byId("fine-tune-hint"), kept < FEWEST_EXAMPLES ? `A fine-tuning needs ${FEWEST_EXAMPLES} examples: keep ${FEWEST_EXAMPLES - kept} more.` : "");
  byId("fine-tuning").hidden = !tuning;
  if (!tuning) return;
  byId("fine-tuning").dataset.status = tuning.status;
  say(byId("fine-tuning-status"), words(tuning));
  const progress = /** @type {HTMLProgressElement} */ (byId("fine-tuning-progress"));
  progress.hidden = !isGoingOn;
  progress.max = tuning.steps;
  if (tuning.step) progress.value = tuning.step;
  else progress.removeAttribute("value");
  byId("fine-tuning-cancel").hidden = !isGoingOn;
  byId("fine-tuning-continue").hidden = !["interrupted", "failed"].includes(tuning.status);
  showCurves(tuning);
}

/** @param {FineTuning} tuning */
function words({ name, status, message, step, steps, seconds_left: left }) {
  const far = `step ${step} of ${steps}`;
  if (status === "labelling") return `${name}: reading the examples …`;
  if (status === "training") return `${name}: ${far}${left === null ? "" : `, ${duration(left)} left`}`;
  if (status === "done") return `${name} is done: choose it beside the other planners.`;
  if (status === "cancelled") return `${name} was cancelled at ${far}.`;
  return `${name}, ${far}: ${message}`;
}

/** @param {number} seconds */
function duration(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

/** @param {FineTuning} tuning */
function showCurves(tuning) {
  const place = byId("fine-tuning-curves");
  const text = JSON.stringify([tuning.loss, tuning.kept, tuning.known, tuning.steps]);
  if (place.dataset.shown === text) return;
  place.dataset.shown = text;
  place.replaceChildren();
  if (tuning.loss.length > 1) {
    const most = Math.max(...tuning.loss.map(([, loss]) => loss));
    place.append(chart("Loss", tuning.steps, most, [["loss", tuning.loss]], (value) => value.toFixed(1)));
  }
  if (tuning.kept.length + tuning.known.length) {
    const lines = /** @type {[string, number[][]][]} */ ([["kept", tuning.kept], ["known", tuning.known]]);
    place.append(chart("Right on held-out images", tuning.steps, 1, lines, (value) => `${Math.round(100 * value)} %`));
    place.append(
      element("p", { class: "soft small" },
        element("span", { class: "key kept" }), " your examples ", ...known(tuning)),
    );
  }
}

/** @param {FineTuning} tuning */
function known(tuning) {
  return tuning.known.length ? [element("span", { class: "key known" }), " other scenes"] : [];
}

/**
 * Draw lines over steps.
 * @param {string} title
 * @param {number} steps
 * @param {number} most at the top
 * @param {[string, number[][]][]} lines their classes and points
 * @param {(value: number) => string} format
 */
function chart(title, steps, most, lines, format) {
  const x = (/** @type {number} */ step) => LEFT + (step / Math.max(1, steps)) * (WIDTH - LEFT - 8);
  const y = (/** @type {number} */ value) => 8 + (1 - value / (most || 1)) * (HEIGHT - BOTTOM - 8);
  const last = lines.filter(([, points]) => points.length).map(([name, points]) => `${name} ${format(points[points.length - 1][1])}`);
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${last.join(", ")}`, class: "chart" });
  for (const share of [0, 0.5, 1]) {
    const value = share * most;
    drawing.append(
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, format(value)),
    );
  }
  drawing.append(
    svg("text", { x: LEFT, y: HEIGHT - 5 }, "0"),
    svg("text", { x: WIDTH - 8, y: HEIGHT - 5, "text-anchor": "end" }, `${steps} steps`),
  );
  for (const [name, points] of lines) {
    const places = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    drawing.append(svg("polyline", { class: `curve ${name}`, points: places }));
    if (points.length < 12) {
      drawing.append(...points.map(([step, value]) => svg("circle", { class: `dot ${name}`, cx: x(step), cy: y(value), r: 3.5 })));
    }
  }
  return element("figure", {}, element("figcaption", { class: "soft small", textContent: title }), drawing);
}

/**
 * @param {string} name
 * @param {Record<string, string|number>} attributes
 * @param {string} [text]
 */
function svg(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(text);
  return made;
}
