/** Runs side by side: how each of them ended, with the path that it followed. */

import { drawPath } from "./draw.js";
import { byId, element } from "./dom.js";
import { waypointsOf } from "./path.js";

/** @typedef {import("./model.js").Model} Model */

/** @type {Record<string, (planner: string) => string>} */
const TITLES = {
  oracle: () => "The expert’s path",
  planner: (planner) => `The path of ${planner}`,
  page: () => "The path on the page",
  none: () => "No path, the instruction alone",
};
/** @type {Record<string, string>} */
const VERDICTS = { success: "Done", stopped: "Stopped", "": "Running …" };
let shown = "";

/**
 * Bring the comparison up to date.
 * @param {Model} model
 */
export function showComparison({ state }) {
  const section = byId("comparison");
  const { comparison } = state;
  section.hidden = !comparison;
  const text = JSON.stringify(comparison?.arms.map((/** @type {any} */ arm) => [arm.name, arm.path, arm.run?.outcome ?? null]));
  const key = `${comparison?.number} ${text}`;
  if (!comparison || key === shown) return;
  shown = key;
  section.replaceChildren(
    element("h2", { textContent: "Side by side" }),
    element("p", { class: "soft small", textContent: `From the start of the scene, with “${comparison.instruction}”` }),
    element("div", { class: "arms" }, ...comparison.arms.map((/** @type {any} */ arm, /** @type {number} */ i) => card(arm, i, comparison))),
  );
}

/**
 * @param {any} arm
 * @param {number} index
 * @param {any} comparison
 */
function card({ name, path, run }, index, { planner, number }) {
  const outcome = run ? run.outcome : null;
  const verdict = outcome === null ? "Waiting" : VERDICTS[outcome] ?? "Not done";
  const picture = element("div", { class: "arm-picture" });
  if (outcome) {
    const image = element("img", { src: `/api/comparison/${index}?number=${number}`, alt: "", onload: () => overlay(picture, path) });
    picture.append(image);
  }
  const why = outcome && outcome !== "success" ? run.message : "";
  return element(
    "article",
    { class: "arm", "data-arm": name, "data-outcome": outcome ?? "waiting" },
    picture,
    element("h3", { textContent: TITLES[name](planner) }),
    element("p", { class: "verdict", textContent: `${verdict}${outcome && run.seconds ? `, ${run.seconds.toFixed(1)} s` : ""}` }),
    element("p", { class: "soft small", textContent: why }),
  );
}

/**
 * Draw the path over a picture.
 * @param {HTMLElement} picture
 * @param {any} path
 */
function overlay(picture, path) {
  picture.querySelector("canvas")?.remove();
  if (!path) return;
  const canvas = /** @type {HTMLCanvasElement} */ (element("canvas", { "aria-hidden": "true" }));
  picture.append(canvas);
  const [width, height, scale] = [picture.clientWidth, picture.clientHeight, window.devicePixelRatio || 1];
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(scale, scale);
  drawPath(context, waypointsOf(path), ({ u, v }) => ({ x: u * width, y: v * height }));
}
