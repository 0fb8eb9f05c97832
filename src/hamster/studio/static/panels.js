/** The panels beside the picture, made anew from the state. */

import { showComparison } from "./compare.js";
import { byId, element, fillSelect, say } from "./dom.js";
import { showFineTuning } from "./finetune.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {{
 *   choose: (index: number) => void, guess: () => void, alternatives: () => void, select: (index: number) => void,
 *   mark: (index: number, event: "closed"|"open") => void, remove: (index: number) => void,
 * }} Actions */

const STATUS = {
  loading: "Loading …",
  ready: "Ready",
  planning: "The planner is drawing …",
  running: "The robot is moving …",
  comparing: "Comparing …",
  stopping: "Stopping …",
};
const ORIGINS = { planned: "drawn by the planner", drawn: "drawn by hand", mended: "drawn by the planner, mended by hand" };

/**
 * Bring all panels up to date.
 * @param {Model} model
 * @param {Actions} actions
 */
export function showPanels(model, actions) {
  const { state } = model;
  const note = state.note ? `${state.note[0].toUpperCase()}${state.note.slice(1)} …` : "";
  byId("status").dataset.status = state.status;
  say(byId("status"), note || STATUS[/** @type {keyof typeof STATUS} */ (state.status)]);
  showOutcome(model);
  showAnswer(model, actions);
  showWaypoints(model, actions);
  showScene(model);
  showPicture(model);
  showKept(model);
  showFineTuning(model);
  showComparison(model);
}

/** @param {Model} model */
function showOutcome({ state, keyposes }) {
  const { run } = state;
  const outcome = byId("outcome");
  outcome.dataset.outcome = run?.outcome ?? "";
  if (!run) {
    say(outcome, "");
    return;
  }
  const reached = keyposes.filter((keypose) => keypose.is_reached).length;
  const counts = [`${run.seconds.toFixed(1)} s`, `${reached} of ${keyposes.length} keyposes reached`];
  if (run.replans) counts.push(`planned again ${run.replans === 1 ? "once" : `${run.replans} times`}`);
  say(outcome, run.message ? `${run.message} (${counts.join(", ")})` : counts.join(", "));
}

/**
 * @param {Model} model
 * @param {Actions} actions
 */
function showAnswer({ state, canEdit }, actions) {
  const section = byId("answer");
  const { plan } = state;
  section.hidden = !plan;
  if (!plan || isUnchanged(section, [plan, canEdit, state.origin])) return;
  const isDone = state.status !== "planning" || plan.paths.length > 0;
  const parts = [element("h2", { textContent: "Planner" })];
  const time = plan.seconds ? ` in ${plan.seconds.toFixed(2)} s` : "";
  parts.push(element("p", { class: "soft small", textContent: `${plan.planner}${time}: “${plan.instruction}”` }));
  if (plan.is_refusal) {
    parts.push(element("p", {}, "The planner thinks that what you named is not in view."));
    parts.push(element("button", { type: "button", disabled: !canEdit, onclick: actions.guess, textContent: "Show its guess" }));
  } else if (plan.problem) {
    parts.push(element("p", { textContent: `There is no path in its answer: ${plan.problem}` }));
  }
  if (plan.paths.length) parts.push(answers(plan, state.origin, canEdit, actions));
  if (plan.paths.length === 1 && plan.raw_text) {
    parts.push(element("button", { type: "button", disabled: !canEdit, onclick: actions.alternatives, textContent: "Alternatives" }));
  }
  if (plan.raw_text) parts.push(rawText(section, plan.raw_text, isDone));
  section.replaceChildren(...parts);
}

/**
 * @param {any} plan
 * @param {string|null} origin of the present path
 * @param {boolean} canEdit
 * @param {Actions} actions
 */
function answers(plan, origin, canEdit, actions) {
  const rows = plan.paths.map((/** @type {any} */ path, /** @type {number} */ i) => {
    const score = path.score ?? null;
    const words = score === null ? "no score" : `${Math.round(100 * score)} % sure`;
    const meter = score === null ? null : element("meter", { min: 0, max: 1, value: score, "aria-hidden": "true" });
    return element(
      "label",
      { class: "answer" },
      element("input", {
        type: "radio", name: "answer", checked: origin === "planned" && i === plan.chosen, disabled: !canEdit,
        onchange: () => actions.choose(i),
      }),
      element("span", { textContent: `${plan.paths.length > 1 ? `Path ${i + 1}: ` : ""}${words}` }),
      meter,
    );
  });
  return element("div", { class: "answers", role: "radiogroup", "aria-label": "Answers of the planner" }, ...rows);
}

/**
 * @param {HTMLElement} section
 * @param {string} text
 * @param {boolean} isDone
 */
function rawText(section, text, isDone) {
  const wasOpen = section.querySelector("details")?.open ?? false;
  const summary = element("summary", { textContent: isDone ? "What it wrote" : "What it has written so far" });
  return element("details", { open: wasOpen }, summary, element("pre", { textContent: text }));
}

/**
 * @param {Model} model
 * @param {Actions} actions
 */
function showWaypoints(model, actions) {
  const { waypoints, selected, canEdit, state } = model;
  const section = byId("path");
  section.hidden = !waypoints.length;
  if (!waypoints.length || isUnchanged(section, [waypoints, selected, canEdit, state.origin])) return;
  const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset.key;
  const button = (/** @type {number} */ i, /** @type {string} */ words, /** @type {boolean|null} */ isOn, /** @type {() => void} */ act) =>
    element("button", {
      type: "button", disabled: !canEdit, onclick: act, textContent: words, "data-key": `${i}${words}`,
      "aria-label": `${words} waypoint ${i + 1}`, ...(isOn === null ? {} : { "aria-pressed": String(isOn) }),
    });
  const rows = waypoints.map(({ event }, i) =>
    element(
      "li",
      { class: i === selected ? "selected" : "" },
      element("button", {
        type: "button", class: "number", onclick: () => actions.select(i), textContent: String(i + 1),
        "aria-label": `Select waypoint ${i + 1}`, "aria-pressed": String(i === selected), "data-key": `${i}number`,
      }),
      button(i, "Grasp", event === "closed", () => actions.mark(i, "closed")),
      button(i, "Release", event === "open", () => actions.mark(i, "open")),
      button(i, "Remove", null, () => actions.remove(i)),
    ),
  );
  const origin = ORIGINS[/** @type {keyof typeof ORIGINS} */ (state.origin)] ?? "";
  section.replaceChildren(
    element("h2", { textContent: "Path" }),
    element("p", { class: "soft small", textContent: `${waypoints.length} waypoints, ${origin}` }),
    element("ol", { class: "waypoints" }, ...rows),
  );
  if (focused) /** @type {HTMLElement|null} */ (section.querySelector(`[data-key="${focused}"]`))?.focus();
}

/** @param {Model} model */
function showScene({ state, canEdit }) {
  const { task, choices } = state;
  byId("scene").hidden = !task;
  if (!task) return;
  const [suite, family, seed] = [byId("suite"), byId("family"), byId("seed")].map((each) => /** @type {any} */ (each));
  fillSelect(suite, choices.suites);
  fillSelect(family, task.families);
  if (isUnchanged(byId("scene-form"), [task])) {
    for (const each of byId("scene-form").querySelectorAll("button")) each.disabled = !canEdit;
    return;
  }
  [suite.value, family.value, seed.value] = [task.suite, task.family, task.seed];
}

/** @param {Model} model */
function showPicture({ state, isSimulated, canEdit }) {
  const { picture, task } = state;
  byId("simulator").hidden = isSimulated || !task;
  /** @type {HTMLButtonElement} */ (byId("upload")).disabled = !canEdit;
  if (!picture) return;
  const place = picture.count > 1 ? ` (${picture.index + 1} of ${picture.count})` : "";
  say(byId("picture-name"), isSimulated ? "The simulator's camera." : `${picture.name}${place}`);
  const frame = /** @type {HTMLInputElement} */ (byId("frame"));
  byId("frame-label").hidden = picture.count < 2;
  frame.max = String(Math.max(0, picture.count - 1));
  if (document.activeElement !== frame) frame.value = String(picture.index);
}

/** @param {Model} model */
function showKept({ state }) {
  const { kept } = state;
  byId("export").hidden = !kept;
  say(byId("kept"), kept ? `${kept} kept` : "");
  say(byId("kept-in"), kept ? `hamster label sketch:${state.kept_in} -o outputs/labels/studio` : "");
  const keep = /** @type {HTMLButtonElement} */ (byId("keep"));
  keep.disabled = !state.path || state.is_path_kept;
  keep.textContent = state.path && state.is_path_kept ? "Kept" : "Keep this path";
}

/**
 * Return whether a panel shows these values already, and note that it does now.
 * @param {HTMLElement} panel
 * @param {any} values
 */
function isUnchanged(panel, values) {
  const text = JSON.stringify(values);
  if (shown.get(panel) === text) return true;
  shown.set(panel, text);
  return false;
}

/** @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();
