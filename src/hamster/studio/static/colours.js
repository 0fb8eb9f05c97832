/** Colours of paths: time is told by brightness as well as by hue, and events by shape as well as by colour. */

/** Plasma (Smith and van der Walt): its brightness rises from start to end, also for colour-blind people. */
const PLASMA = [
  [13, 8, 135],
  [106, 0, 168],
  [177, 42, 144],
  [225, 100, 98],
  [252, 166, 54],
  [240, 249, 33],
];
/** Of Okabe and Ito's palette, whose colours colour-blind people tell apart. */
export const GRASP = "#e69f00";
export const RELEASE = "#56b4e9";
export const INK = "#111114";
export const PAPER = "#ffffff";

/**
 * Return the colour of a share of the way, 0 to 1.
 * @param {number} share
 */
export function timeColour(share) {
  const at = Math.min(1, Math.max(0, share)) * (PLASMA.length - 1);
  const low = Math.min(PLASMA.length - 2, Math.floor(at));
  const mixed = PLASMA[low].map((value, i) => Math.round(value + (at - low) * (PLASMA[low + 1][i] - value)));
  return `rgb(${mixed.join(" ")})`;
}
