/** The canvas: the picture, what is drawn on it, and where a pointer is on the picture. */

import { drawCursor, drawKeyposes, drawPath, drawStroke, drawThings } from "./draw.js";
import { clamp } from "./path.js";

/** @typedef {import("./model.js").Model} Model */

export class View {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Model} model
   */
  constructor(canvas, model) {
    this.canvas = canvas;
    this.model = model;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {ImageBitmap|null} */
    this.image = null;
    this.images = 0;
    this.isDue = false;
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** @param {ImageBitmap} image */
  show(image) {
    this.image?.close();
    this.image = image;
    this.images += 1;
    this.canvas.dataset.images = String(this.images); // how many were shown
    this.redraw();
  }

  /**
   * Give the canvas the shape of the picture.
   * @param {{width: number, height: number}} picture
   */
  fit({ width, height }) {
    document.documentElement.style.setProperty("--ratio", (width / height).toFixed(4));
  }

  /** Draw everything in the next frame. */
  redraw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.#draw();
    });
  }

  /**
   * Return the point of a place, in CSS pixels of the canvas.
   * @param {{u: number, v: number}} place
   */
  toPoint = ({ u, v }) => ({ x: u * this.canvas.clientWidth, y: v * this.canvas.clientHeight });

  /**
   * Return the place that a pointer is at, relative to the picture.
   * @param {{clientX: number, clientY: number}} pointer
   */
  toPlace({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return { u: clamp((clientX - box.left) / box.width), v: clamp((clientY - box.top) / box.height) };
  }

  /**
   * Return the distance of two places on the screen, in CSS pixels.
   * @param {{u: number, v: number}} a
   * @param {{u: number, v: number}} b
   */
  distance = (a, b) =>
    Math.hypot((a.u - b.u) * this.canvas.clientWidth, (a.v - b.v) * this.canvas.clientHeight);

  #draw() {
    const { canvas, context, model } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, width, height);
    if (this.image) context.drawImage(this.image, 0, 0, width, height);
    const { waypoints, partial } = model;
    if (waypoints.length) drawPath(context, waypoints, this.toPoint, { selected: model.selected });
    else if (partial.length) drawPath(context, partial, this.toPoint, { faint: true });
    drawKeyposes(context, model.keyposes, this.toPoint);
    if (model.tool === "move") drawThings(context, model.things, this.toPoint, width, model.thing);
    if (model.stroke.length > 1) drawStroke(context, model.stroke.map(this.toPoint));
    if (model.cursor) drawCursor(context, this.toPoint(model.cursor));
  }
}
