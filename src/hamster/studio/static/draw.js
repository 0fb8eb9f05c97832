/** What is drawn on the picture. All sizes are in CSS pixels. */

import { GRASP, INK, PAPER, RELEASE, timeColour } from "./colours.js";

/** @typedef {import("./path.js").Waypoint} Waypoint */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {CanvasRenderingContext2D} Context */

const LINE = 4;
const PIECE = 6;

/**
 * Draw a path: the line coloured by time, an arrow head, and its waypoints.
 * @param {Context} context
 * @param {Waypoint[]} waypoints
 * @param {(place: {u: number, v: number}) => Point} toPoint
 * @param {{selected?: number, faint?: boolean}} [how]
 */
export function drawPath(context, waypoints, toPoint, { selected = -1, faint = false } = {}) {
  const points = waypoints.map(toPoint);
  context.save();
  context.globalAlpha = faint ? 0.55 : 1;
  context.lineJoin = context.lineCap = "round";
  strokeLine(context, points, LINE + 5, INK);
  strokeLine(context, points, LINE + 3, PAPER);
  strokeByTime(context, points);
  if (points.length > 1) drawArrow(context, points);
  waypoints.forEach((waypoint, i) => drawWaypoint(context, points[i], waypoint.event, i === selected));
  context.restore();
}

/**
 * Draw a stroke while the pointer makes it.
 * @param {Context} context
 * @param {Point[]} points
 */
export function drawStroke(context, points) {
  context.save();
  context.lineJoin = context.lineCap = "round";
  strokeLine(context, points, LINE + 4, INK);
  strokeLine(context, points, LINE, PAPER);
  context.restore();
}

/**
 * Draw the keyposes of a run: squares, ticked when the robot has been there.
 * @param {Context} context
 * @param {{uv: number[]|null, gripper_open: boolean, is_reached: boolean}[]} keyposes
 * @param {(place: {u: number, v: number}) => Point} toPoint
 */
export function drawKeyposes(context, keyposes, toPoint) {
  context.save();
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  keyposes.forEach(({ uv, is_reached: isReached }, i) => {
    if (!uv) return;
    const { x, y } = above(toPoint({ u: uv[0], v: uv[1] }));
    context.fillStyle = isReached ? "#1f8a4c" : PAPER;
    context.strokeStyle = isReached ? PAPER : INK;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(x - 9, y - 9, 18, 18, 4);
    context.fill();
    context.stroke();
    context.fillStyle = isReached ? PAPER : INK;
    context.fillText(isReached ? "✓" : String(i + 1), x, y + 0.5);
  });
  context.restore();
}

/**
 * Return where the label of a point is, so that it does not hide what is there.
 * @param {Point} point
 */
function above({ x, y }) {
  return { x: x + 17, y: y - 17 };
}

/**
 * Draw rings around what can be moved, with its name.
 * @param {Context} context
 * @param {{label: string, uv: number[], radius: number}[]} things
 * @param {(place: {u: number, v: number}) => Point} toPoint
 * @param {number} width of the picture
 * @param {number} selected
 */
export function drawThings(context, things, toPoint, width, selected) {
  context.save();
  context.font = "500 12px system-ui, sans-serif";
  context.textAlign = "center";
  things.forEach(({ label, uv, radius }, i) => {
    const { x, y } = toPoint({ u: uv[0], v: uv[1] });
    const reach = Math.max(14, radius * width + 4);
    context.setLineDash(i === selected ? [] : [5, 4]);
    for (const [colour, lineWidth] of /** @type {[string, number][]} */ ([[INK, 4], [PAPER, 2]])) {
      context.strokeStyle = colour;
      context.lineWidth = lineWidth;
      context.beginPath();
      context.arc(x, y, reach, 0, 2 * Math.PI);
      context.stroke();
    }
    if (i !== selected) return;
    context.lineWidth = 3;
    context.strokeStyle = INK;
    context.strokeText(label, x, y - reach - 6);
    context.fillStyle = PAPER;
    context.fillText(label, x, y - reach - 6);
  });
  context.restore();
}

/**
 * Draw the place where the keyboard is.
 * @param {Context} context
 * @param {Point} at
 */
export function drawCursor(context, { x, y }) {
  context.save();
  for (const [colour, width] of /** @type {[string, number][]} */ ([[INK, 4], [PAPER, 2]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x - 12, y);
    context.lineTo(x + 12, y);
    context.moveTo(x, y - 12);
    context.lineTo(x, y + 12);
    context.stroke();
  }
  context.restore();
}

/**
 * Draw a mark of an event: a diamond with chevrons inwards grasps, a disc with chevrons outwards releases.
 * @param {Context} context
 * @param {Point} at
 * @param {"closed"|"open"} event
 * @param {number} size
 */
export function drawEvent(context, { x, y }, event, size) {
  context.beginPath();
  if (event === "closed") {
    const reach = size * 1.25;
    context.moveTo(x, y - reach);
    context.lineTo(x + reach, y);
    context.lineTo(x, y + reach);
    context.lineTo(x - reach, y);
    context.closePath();
  } else {
    context.arc(x, y, size, 0, 2 * Math.PI);
  }
  context.fillStyle = event === "closed" ? GRASP : RELEASE;
  context.strokeStyle = INK;
  context.lineWidth = 2;
  context.fill();
  context.stroke();
  const [inner, outer] = event === "closed" ? [0.12, 0.5] : [0.62, 0.24];
  const half = size * 0.34;
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(x + side * size * outer, y - half);
    context.lineTo(x + side * size * inner, y);
    context.lineTo(x + side * size * outer, y + half);
  }
  context.stroke();
}

/**
 * @param {Context} context
 * @param {Point[]} points
 * @param {number} width
 * @param {string} colour
 */
function strokeLine(context, points, width, colour) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.beginPath();
  points.forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

/**
 * @param {Context} context
 * @param {Point[]} points
 */
function strokeByTime(context, points) {
  const lengths = points.slice(1).map(({ x, y }, i) => Math.hypot(x - points[i].x, y - points[i].y));
  const total = lengths.reduce((sum, length) => sum + length, 0) || 1;
  let done = 0;
  context.lineWidth = LINE;
  lengths.forEach((length, i) => {
    const pieces = Math.max(1, Math.round(length / PIECE));
    for (let k = 0; k < pieces; k++) {
      const [a, b] = [between(points[i], points[i + 1], k / pieces), between(points[i], points[i + 1], (k + 1) / pieces)];
      context.strokeStyle = timeColour((done + (length * (k + 0.5)) / pieces) / total);
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.stroke();
    }
    done += length;
  });
}

/**
 * @param {Point} a
 * @param {Point} b
 * @param {number} share
 */
function between(a, b, share) {
  return { x: a.x + share * (b.x - a.x), y: a.y + share * (b.y - a.y) };
}

/**
 * Draw a head half-way along the last stretch, where no marker hides it.
 * @param {Context} context
 * @param {Point[]} points
 */
function drawArrow(context, points) {
  const [from, to] = points.slice(-2);
  if (Math.hypot(to.x - from.x, to.y - from.y) < 24) return;
  const { x, y } = between(from, to, 0.5);
  context.save();
  context.translate(x, y);
  context.rotate(Math.atan2(to.y - from.y, to.x - from.x));
  context.fillStyle = PAPER;
  context.strokeStyle = INK;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(9, 0);
  context.lineTo(-6, -7);
  context.lineTo(-3, 0);
  context.lineTo(-6, 7);
  context.closePath();
  context.fill();
  context.stroke();
  context.restore();
}

/**
 * @param {Context} context
 * @param {Point} at
 * @param {import("./path.js").GripperEvent} event
 * @param {boolean} isSelected
 */
function drawWaypoint(context, at, event, isSelected) {
  if (isSelected) {
    for (const [colour, width] of /** @type {[string, number][]} */ ([[INK, 5], [PAPER, 2.5]])) {
      context.beginPath();
      context.arc(at.x, at.y, 17, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }
  if (event) {
    drawEvent(context, at, event, 10);
    return;
  }
  context.beginPath();
  context.arc(at.x, at.y, 5, 0, 2 * Math.PI);
  context.fillStyle = PAPER;
  context.strokeStyle = INK;
  context.lineWidth = 2;
  context.fill();
  context.stroke();
}
