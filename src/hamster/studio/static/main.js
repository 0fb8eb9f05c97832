/** The page: connects the server's state, the canvas, and what a person does. */

import { Refused, send, sendFile, watch } from "./api.js";
import { byId, fillSelect, say } from "./dom.js";
import { History } from "./history.js";
import { attachKeys } from "./keys.js";
import { Model } from "./model.js";
import { showPanels } from "./panels.js";
import { pathOf, withEvent } from "./path.js";
import { attachPointer } from "./pointer.js";
import { View } from "./view.js";

/** @typedef {import("./path.js").Waypoint} Waypoint */
/** @typedef {import("./path.js").PathJson} PathJson */

const model = new Model();
const history = new History();
const view = new View(byId("view"), model);
const instruction = /** @type {HTMLInputElement} */ (byId("instruction"));
const planner = /** @type {HTMLSelectElement} */ (byId("planner"));
const HINT_MS = 10_000;
let hintTimer = 0;
/** Why there is no connection, or "". */
let lost = "";
/** Of the path that is shown here; a change that another page has made since then is not overwritten. */
let version = 0;
/** @type {{path: PathJson|null}|null} */
let waiting = null;
let isPutting = false;
/** @type {number|null} the picture that the slider asks for */
let frame = null;

// The token came with the link, and is a cookie now: it need not stay in the address, nor in the browser's history.
if (location.search) window.history.replaceState(null, "", "/");

/**
 * Do something on the server; what it refuses is said in words.
 * @param {Promise<any>} request
 */
async function attempt(request) {
  try {
    const answer = await request;
    if (answer) version = Math.max(version, answer.path_version);
  } catch (error) {
    model.preview = null;
    if (error instanceof Refused) hint(error.message);
    else throw error;
  }
  update();
}

/**
 * Replace the path. While one is on its way only the newest of the others waits, so that keys may be held down.
 * @param {PathJson|null} path
 */
async function putPath(path) {
  waiting = { path };
  if (isPutting) return;
  isPutting = true;
  while (waiting) {
    const { path: next } = waiting;
    waiting = null;
    await attempt(send("path", { path: next, version }, "PUT"));
  }
  isPutting = false;
  settle();
}

/** Show the server's path, and note it for undo, unless it is older than what was changed here. */
function settle() {
  if (isPutting || model.state.path_version < version) return;
  model.preview = null;
  history.note(model.state.path);
  update();
}

/**
 * Say something for a while.
 * @param {string} words
 */
function hint(words) {
  clearTimeout(hintTimer);
  say(byId("problem"), words && `${words[0].toUpperCase()}${words.slice(1)}`);
  hintTimer = window.setTimeout(() => say(byId("problem"), lost), HINT_MS);
}

const plan = (more = {}) =>
  attempt(send("plan", { planner: planner.value, instruction: instruction.value, ...more }));

const actions = {
  stroke: async (/** @type {{u: number, v: number}[]} */ stroke) => {
    await attempt(send("stroke", { uv: thinned(stroke).map(({ u, v }) => [u, v]), version }));
    model.stroke = []; // shown until its path is there
    view.redraw();
  },
  edit: (/** @type {Waypoint[]} */ waypoints) => {
    model.preview = waypoints;
    putPath(pathOf(waypoints));
  },
  select: (/** @type {number} */ index) => {
    model.selected = index;
    update();
  },
  mark: (/** @type {number} */ index, /** @type {"closed"|"open"} */ event) => {
    actions.edit(withEvent(model.waypoints, index, event));
    actions.select(index);
  },
  remove: (/** @type {number} */ index) => {
    model.selected = -1;
    actions.edit(model.waypoints.filter((_, i) => i !== index));
  },
  moveThing: (/** @type {string} */ name, /** @type {{u: number, v: number}} */ { u, v }) =>
    attempt(send("move", { name, uv: [u, v] })),
  undo: () => model.canEdit && history.canUndo && putPath(history.go(-1)),
  redo: () => model.canEdit && history.canRedo && putPath(history.go(1)),
  stop: () => model.canStop && attempt(send("stop")),
  choose: (/** @type {number} */ index) => attempt(send("choose", { index })),
  guess: () => plan({ instruction: model.state.plan.instruction, may_refuse: false }),
  alternatives: () => plan({ instruction: model.state.plan.instruction, alternatives: true }),
  hint,
  redraw: () => view.redraw(),
};

/**
 * Return at most so many points of a stroke as the server takes.
 * @template T
 * @param {T[]} stroke
 */
function thinned(stroke, most = 2000) {
  const step = Math.ceil(stroke.length / most);
  return stroke.filter((_, i) => i % step === 0 || i === stroke.length - 1);
}

/**
 * Take over a state of the server.
 * @param {any} state
 */
function onState(state) {
  const before = model.state;
  model.state = state;
  if (state.picture?.number !== before?.picture?.number) {
    history.reset();
    if (state.picture) view.fit(state.picture);
  }
  version = Math.max(version, state.path_version);
  settle();
  if (model.selected >= model.waypoints.length) model.selected = -1;
  if (state.instruction !== before?.instruction) instruction.value = state.instruction;
  if (before && state.problem !== before.problem) hint(state.problem);
  fillSelect(planner, state.choices.planners);
  leaf();
  update();
}

/** Show the picture that the slider is at; while one is read, only the newest of the others waits. */
async function leaf() {
  if (frame === null || !model.canEdit) return;
  const { kind, count } = model.state.picture;
  const index = frame;
  frame = null;
  if (index >= count) return; // of another collection
  try {
    await send("picture", { kind, index });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "busy") frame ??= index; // another one is being read: that it is done will be told
    else hint(error.message);
  }
}

/** Bring the page up to date. */
function update() {
  if (!model.state) return;
  const { canEdit, isSimulated, state } = model;
  const isDisabled = {
    plan: !canEdit || !planner.options.length,
    run: !canEdit || !isSimulated || !state.path,
    stop: !model.canStop,
    reset: !canEdit || !isSimulated,
    compare: !canEdit || !isSimulated,
    undo: !canEdit || !history.canUndo,
    redo: !canEdit || !history.canRedo,
    clear: !canEdit || !state.path,
  };
  for (const [id, value] of Object.entries(isDisabled)) /** @type {HTMLButtonElement} */ (byId(id)).disabled = value;
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-tool]"))) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === model.tool));
    if (button.dataset.tool === "move") button.hidden = !model.things.length;
  }
  view.canvas.dataset.tool = model.tool;
  showPanels(model, actions);
  view.redraw();
}

/**
 * @param {string} id
 * @param {() => unknown} act
 */
const onClick = (id, act) => byId(id).addEventListener("click", act);

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  plan();
});
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-tool]"))) {
  button.addEventListener("click", () => {
    model.tool = /** @type {import("./model.js").Tool} */ (button.dataset.tool);
    [model.thing, model.selected] = [-1, -1];
    update();
  });
}
onClick("undo", actions.undo);
onClick("redo", actions.redo);
onClick("clear", () => putPath(null));
onClick("run", () => {
  const again = /** @type {HTMLInputElement} */ (byId("replan")).checked;
  attempt(send("run", { instruction: instruction.value, replan_with: again ? planner.value : "" }));
});
onClick("stop", actions.stop);
onClick("reset", () => attempt(send("reset")));
onClick("compare", () => attempt(send("compare", { planner: planner.value, instruction: instruction.value })));
onClick("keep", () => attempt(send("keep", { instruction: instruction.value })));
byId("fine-tune-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const steps = Number(/** @type {HTMLSelectElement} */ (byId("fine-tune-steps")).value);
  attempt(send("fine-tune", { planner: planner.value, steps }));
});
onClick("fine-tuning-cancel", () => attempt(send("fine-tune/cancel")));
onClick("fine-tuning-continue", () => attempt(send("fine-tune/continue")));
onClick("simulator", () => attempt(send("picture", { kind: "simulator" })));
onClick("upload", () => byId("file").click());
byId("file").addEventListener("change", () => {
  const input = /** @type {HTMLInputElement} */ (byId("file"));
  const [file] = input.files ?? [];
  if (file) attempt(sendFile(file));
  input.value = "";
});
byId("frame").addEventListener("input", () => {
  frame = Number(/** @type {HTMLInputElement} */ (byId("frame")).value);
  leaf();
});
byId("scene-form").addEventListener("submit", (event) => {
  event.preventDefault();
  openScene(Number(/** @type {HTMLInputElement} */ (byId("seed")).value));
});
onClick("next-scene", () => openScene(model.state.task.seed + 1));
byId("suite").addEventListener("change", () => openScene(model.state.task.seed, ""));

/**
 * @param {number} seed
 * @param {string} [family]
 */
function openScene(seed, family = /** @type {HTMLSelectElement} */ (byId("family")).value) {
  attempt(send("scene", { suite: /** @type {HTMLSelectElement} */ (byId("suite")).value, family, seed }));
}

attachPointer(view, model, actions);
attachKeys(view.canvas, model, actions);
watch({
  onState,
  onImage: (image) => view.show(image),
  onLost: (words) => {
    lost = words;
    say(byId("problem"), lost);
    if (words) say(byId("status"), "Not connected");
    else if (model.state) update();
  },
});
