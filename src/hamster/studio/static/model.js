/** What the page knows: the server's state, and what the person is doing right now. */

import { waypointsOf } from "./path.js";

/** @typedef {import("./path.js").Waypoint} Waypoint */
/** @typedef {{u: number, v: number}} Place */
/** @typedef {"draw"|"closed"|"open"|"move"} Tool */

export class Model {
  /** @type {any} the newest state of the server; see `hamster/studio/state.py` */
  state = null;
  /** @type {Tool} */
  tool = "draw";
  /** Index of the selected waypoint, or -1. */
  selected = -1;
  /** Index of the selected thing, or -1. */
  thing = -1;
  /** @type {Waypoint[]|null} the path while it is changed, until the server has it */
  preview = null;
  /** @type {Place[]} the stroke that is being made */
  stroke = [];
  /** @type {Place|null} where the keyboard is */
  cursor = null;

  get status() {
    return this.state?.status ?? "loading";
  }

  get canEdit() {
    return this.status === "ready";
  }

  get canStop() {
    return ["running", "planning", "comparing"].includes(this.status);
  }

  /** @returns {Waypoint[]} of the path on the page, or of the one that the robot follows in a comparison */
  get waypoints() {
    if (this.status === "comparing") {
      const arm = this.state.comparison.arms.find((/** @type {any} */ { run }) => run && !run.outcome);
      return waypointsOf(arm?.path ?? null);
    }
    return this.preview ?? waypointsOf(this.state?.path ?? null);
  }

  /** @returns {Waypoint[]} the planner's answer so far */
  get partial() {
    return (this.state?.plan?.partial ?? []).map((/** @type {number[]} */ [u, v]) => ({ u, v, event: null }));
  }

  /** @returns {{name: string, label: string, uv: number[], radius: number}[]} */
  get things() {
    return this.state?.things ?? [];
  }

  /** @returns {{uv: number[]|null, gripper_open: boolean, is_reached: boolean}[]} */
  get keyposes() {
    return this.state?.run?.keyposes ?? [];
  }

  get isSimulated() {
    return this.state?.picture?.kind === "simulator";
  }
}
