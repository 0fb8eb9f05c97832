/** Mouse, pen and finger on the canvas: strokes, waypoints that are dragged or marked, things that are moved. */

import { nearestIndex, nearestOnLine } from "./path.js";

/** @typedef {import("./path.js").Waypoint} Waypoint */
/** @typedef {{u: number, v: number}} Place */
/** @typedef {{
 *   stroke: (uv: Place[]) => void, edit: (waypoints: Waypoint[]) => void, select: (index: number) => void,
 *   mark: (index: number, event: "closed"|"open") => void, hint: (words: string) => void,
 *   moveThing: (name: string, place: Place) => void, redraw: () => void,
 * }} Actions */

const REACH_PX = { mouse: 14, pen: 18, touch: 26 };
const CLICK_PX = 6;
const MOVE_EVERY_MS = 100;

/**
 * Let pointers act on the view.
 * @param {import("./view.js").View} view
 * @param {import("./model.js").Model} model
 * @param {Actions} actions
 */
export function attachPointer(view, model, actions) {
  const { canvas } = view;
  /** @type {{id: number, kind: "stroke"|"waypoint"|"thing", index: number, start: Place, sentMs: number}|null} */
  let gesture = null;

  canvas.addEventListener("pointerdown", (event) => {
    if (gesture || event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    model.cursor = null;
    const place = view.toPlace(event);
    const kind = begin(place, reachOf(event));
    if (!kind) return;
    canvas.setPointerCapture(event.pointerId);
    gesture = { id: event.pointerId, start: place, sentMs: 0, ...kind };
    actions.redraw();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (gesture?.id !== event.pointerId) return;
    const place = view.toPlace(event);
    if (gesture.kind === "stroke") {
      const all = event.getCoalescedEvents?.() ?? [];
      model.stroke.push(...(all.length ? all : [event]).map((each) => view.toPlace(each)));
    } else if (gesture.kind === "waypoint" && view.distance(place, gesture.start) > 2) {
      const { index } = gesture;
      model.preview = model.waypoints.map((waypoint, i) => (i === index ? { ...waypoint, ...place } : waypoint));
    } else if (gesture.kind === "thing" && event.timeStamp - gesture.sentMs > MOVE_EVERY_MS) {
      gesture.sentMs = event.timeStamp;
      actions.moveThing(model.things[gesture.index].name, place);
    }
    actions.redraw();
  });

  canvas.addEventListener("pointerup", (event) => {
    if (gesture?.id !== event.pointerId) return;
    const { kind, index } = gesture;
    const place = view.toPlace(event);
    gesture = null;
    if (kind === "stroke") endStroke(place, reachOf(event));
    else if (kind === "waypoint" && model.preview) actions.edit(model.preview);
    else if (kind === "thing") actions.moveThing(model.things[index].name, place);
    actions.redraw();
  });

  canvas.addEventListener("pointercancel", () => {
    gesture = null;
    model.stroke = [];
    model.preview = null;
    actions.redraw();
  });

  /**
   * Return what a press begins, if anything; a press with a marking tool is complete at once.
   * @param {Place} place
   * @param {number} reach
   * @returns {{kind: "stroke"|"waypoint"|"thing", index: number}|null}
   */
  function begin(place, reach) {
    if (model.tool === "move") {
      const centres = model.things.map(({ uv }) => ({ u: uv[0], v: uv[1] }));
      model.thing = nearestIndex(centres, place, view.distance, 2 * reach);
      if (model.thing < 0) actions.hint("Press on a thing with a ring around it, and drag it.");
      return model.thing < 0 ? null : { kind: "thing", index: model.thing };
    }
    if (!model.canEdit) return null;
    const index = nearestIndex(model.waypoints, place, view.distance, reach);
    if (model.tool !== "draw") {
      mark(index, place, reach, model.tool);
      return null;
    }
    actions.select(index);
    if (index >= 0) return { kind: "waypoint", index };
    model.stroke = [place];
    return { kind: "stroke", index: -1 };
  }

  /**
   * @param {number} index
   * @param {Place} place
   * @param {number} reach
   * @param {"closed"|"open"} event
   */
  function mark(index, place, reach, event) {
    if (index >= 0) actions.mark(index, event);
    else if (!insert(place, reach, event)) actions.hint("Click on the path, where that is to happen.");
  }

  /**
   * Insert a waypoint into the line under a pointer; return whether there is a line.
   * @param {Place} place
   * @param {number} reach
   * @param {import("./path.js").GripperEvent} event
   */
  function insert(place, reach, event) {
    const nearest = nearestOnLine(model.waypoints, place, view.distance, reach);
    if (!nearest) return false;
    const waypoints = [...model.waypoints];
    waypoints.splice(nearest.before, 0, { u: nearest.u, v: nearest.v, event });
    actions.edit(waypoints);
    actions.select(nearest.before);
    return true;
  }

  /**
   * @param {Place} place
   * @param {number} reach
   */
  function endStroke(place, reach) {
    const { stroke } = model;
    if (stroke.some((each) => view.distance(each, stroke[0]) >= CLICK_PX)) {
      actions.stroke(stroke);
      return;
    }
    model.stroke = [];
    insert(place, reach, null);
  }
}

/** @param {PointerEvent} event */
function reachOf(event) {
  return REACH_PX[/** @type {"mouse"|"pen"|"touch"} */ (event.pointerType)] ?? REACH_PX.mouse;
}
