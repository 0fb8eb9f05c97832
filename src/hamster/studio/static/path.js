/** Paths as a person edits them: waypoints, some of which grasp or release. */

/** @typedef {{uv: number[][], gripper: string[], depth_m?: number[]|null, score?: number|null}} PathJson as the server writes it */
/** @typedef {"closed"|"open"|null} GripperEvent "closed" grasps, "open" releases */
/** @typedef {{u: number, v: number, event: GripperEvent}} Waypoint */

/**
 * Return the waypoints of a path; an event is where the commanded gripper state changes.
 * @param {PathJson|null} path
 * @returns {Waypoint[]}
 */
export function waypointsOf(path) {
  if (!path) return [];
  return path.uv.map(([u, v], i) => {
    const before = i ? path.gripper[i - 1] : "unknown";
    const changes = path.gripper[i] !== before && path.gripper[i] !== "unknown";
    return { u, v, event: changes ? /** @type {GripperEvent} */ (path.gripper[i]) : null };
  });
}

/**
 * Return the path through waypoints, or null if there is none.
 * @param {Waypoint[]} waypoints
 * @returns {PathJson|null}
 */
export function pathOf(waypoints) {
  if (!waypoints.length) return null;
  let state = "unknown";
  const gripper = waypoints.map(({ event }) => (state = event ?? state));
  return { uv: waypoints.map(({ u, v }) => [clamp(u), clamp(v)]), gripper, depth_m: null, score: null };
}

/**
 * Return whether two paths have the same waypoints and events.
 * @param {PathJson|null} a
 * @param {PathJson|null} b
 */
export function isSame(a, b) {
  if (!a || !b) return a === b;
  const near = (/** @type {number[]} */ p, /** @type {number[]} */ q) => Math.hypot(p[0] - q[0], p[1] - q[1]) < 1e-9;
  return a.uv.length === b.uv.length && a.uv.every((p, i) => near(p, b.uv[i]) && a.gripper[i] === b.gripper[i]);
}

/**
 * Return the waypoint nearest to a place, within a reach; -1 if none is.
 * @param {{u: number, v: number}[]} places
 * @param {{u: number, v: number}} at
 * @param {(a: {u: number, v: number}, b: {u: number, v: number}) => number} distance
 * @param {number} reach
 */
export function nearestIndex(places, at, distance, reach) {
  let best = -1;
  let shortest = reach;
  places.forEach((place, i) => {
    const gap = distance(place, at);
    if (gap <= shortest) [best, shortest] = [i, gap];
  });
  return best;
}

/**
 * Return where a place lies on the line between two waypoints, within a reach.
 * @param {Waypoint[]} waypoints
 * @param {{u: number, v: number}} at
 * @param {(a: {u: number, v: number}, b: {u: number, v: number}) => number} distance
 * @param {number} reach
 * @returns {{before: number, u: number, v: number}|null} `before`: index of the waypoint that follows
 */
export function nearestOnLine(waypoints, at, distance, reach) {
  let nearest = null;
  let shortest = reach;
  for (let i = 1; i < waypoints.length; i++) {
    const [a, b] = [waypoints[i - 1], waypoints[i]];
    const length2 = (b.u - a.u) ** 2 + (b.v - a.v) ** 2;
    const along = length2 ? clamp(((at.u - a.u) * (b.u - a.u) + (at.v - a.v) * (b.v - a.v)) / length2) : 0;
    const point = { u: a.u + along * (b.u - a.u), v: a.v + along * (b.v - a.v) };
    const gap = distance(point, at);
    if (gap <= shortest) [nearest, shortest] = [{ before: i, ...point }, gap];
  }
  return nearest;
}

/**
 * Return the waypoints with an event at one of them, or without it if it is there already.
 * @param {Waypoint[]} waypoints
 * @param {number} index
 * @param {"closed"|"open"} event
 */
export function withEvent(waypoints, index, event) {
  return waypoints.map((w, i) => (i === index ? { ...w, event: w.event === event ? null : event } : w));
}

/** @param {number} value */
export function clamp(value) {
  return Math.min(1, Math.max(0, value));
}
