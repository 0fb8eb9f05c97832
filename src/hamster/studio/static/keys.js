/** The keyboard: everything that a pointer can do on the canvas, and the usual shortcuts. */

import { clamp } from "./path.js";

/** @typedef {import("./path.js").Waypoint} Waypoint */
/** @typedef {{u: number, v: number}} Place */
/** @typedef {{
 *   edit: (waypoints: Waypoint[]) => void, select: (index: number) => void, remove: (index: number) => void,
 *   mark: (index: number, event: "closed"|"open") => void, moveThing: (name: string, place: Place) => void,
 *   undo: () => void, redo: () => void, stop: () => void, redraw: () => void,
 * }} Actions */

const STEP = 0.02;
const FINE_STEP = 0.004;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Let the keyboard act on the view, while the canvas has the focus; undo, redo and stop work everywhere.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./model.js").Model} model
 * @param {Actions} actions
 */
export function attachKeys(canvas, model, actions) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (event.key === "Escape") actions.stop();
    if (isTyping || !(event.ctrlKey || event.metaKey)) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) actions.redo();
    else actions.undo();
  });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (act(event.key, event.shiftKey ? FINE_STEP : STEP)) {
      event.preventDefault();
      actions.redraw();
    }
  });

  canvas.addEventListener("blur", () => {
    model.cursor = null;
    actions.redraw();
  });

  /**
   * Return whether a key does anything.
   * @param {string} key
   * @param {number} step
   */
  function act(key, step) {
    if (key in ARROWS) {
      go(ARROWS[key], step);
      return true;
    }
    if (key === "[" || key === "]") {
      selectNext(key === "]" ? 1 : -1);
      return true;
    }
    if (!model.canEdit) return false;
    if (key === "Enter" || key === " ") {
      append();
      return true;
    }
    if (model.selected < 0) return false;
    if (key === "Delete" || key === "Backspace") actions.remove(model.selected);
    else if (key.toLowerCase() === "g") actions.mark(model.selected, "closed");
    else if (key.toLowerCase() === "r") actions.mark(model.selected, "open");
    else return false;
    return true;
  }

  /**
   * Move the selected thing or waypoint, or else the cursor.
   * @param {[number, number]} direction
   * @param {number} step
   */
  function go([right, down], step) {
    const moved = (/** @type {Place} */ { u, v }) => ({ u: clamp(u + right * step), v: clamp(v + down * step) });
    const thing = model.tool === "move" ? model.things[model.thing] : undefined;
    if (thing) actions.moveThing(thing.name, moved({ u: thing.uv[0], v: thing.uv[1] }));
    else if (model.selected >= 0 && model.canEdit) {
      actions.edit(model.waypoints.map((each, i) => (i === model.selected ? { ...each, ...moved(each) } : each)));
    } else model.cursor = moved(model.cursor ?? { u: 0.5, v: 0.5 });
  }

  /** @param {1|-1} step */
  function selectNext(step) {
    const count = model.tool === "move" ? model.things.length : model.waypoints.length;
    const present = model.tool === "move" ? model.thing : model.selected;
    const next = present + step;
    const index = next < -1 ? count - 1 : next >= count ? -1 : next;
    if (model.tool === "move") model.thing = index;
    else actions.select(index);
  }

  /** Add a waypoint at the cursor, behind the selected one or at the end. */
  function append() {
    const place = model.cursor ?? { u: 0.5, v: 0.5 };
    const waypoints = [...model.waypoints];
    const at = model.selected >= 0 ? model.selected + 1 : waypoints.length;
    waypoints.splice(at, 0, { ...place, event: null });
    model.cursor = place;
    actions.edit(waypoints);
    actions.select(-1);
  }
}
