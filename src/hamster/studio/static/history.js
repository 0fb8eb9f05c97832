/** The paths that were on the page, for undo and redo. */

import { isSame } from "./path.js";

/** @typedef {import("./path.js").PathJson} PathJson */

export class History {
  /** @type {(PathJson|null)[]} */
  paths = [null];
  at = 0;

  /** Forget everything: there is another picture. */
  reset() {
    this.paths = [null];
    this.at = 0;
  }

  /**
   * Note the path that the server has; whatever was undone before is gone if it is a new one.
   * @param {PathJson|null} path
   */
  note(path) {
    if (isSame(path, this.paths[this.at])) return;
    this.paths.splice(this.at + 1);
    this.paths.push(path);
    this.at = this.paths.length - 1;
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.paths.length - 1;
  }

  /**
   * Go back or forth, and return the path there.
   * @param {1|-1} step
   * @returns {PathJson|null}
   */
  go(step) {
    this.at = Math.min(this.paths.length - 1, Math.max(0, this.at + step));
    return this.paths[this.at];
  }
}
