/** Small helpers for elements of the page. */

/**
 * Return an element of the page by its id.
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * Make an element; text in it is text, whatever it says.
 * @param {string} name
 * @param {Record<string, any>} [properties] `on…` are listeners, `class` and `aria-…` attributes
 * @param {...(Node|string|null)} children
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class" || key.startsWith("aria-") || key.startsWith("data-")) made.setAttribute(key, value);
    else Reflect.set(made, key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * Fill a list of choices, unless it has them already.
 * @param {HTMLSelectElement} select
 * @param {string[]} names
 */
export function fillSelect(select, names) {
  const present = [...select.options].map((option) => option.value);
  if (present.length === names.length && present.every((name, i) => name === names[i])) return;
  const { value } = select;
  select.replaceChildren(...names.map((name) => element("option", { value: name, textContent: name.replaceAll("_", " ") })));
  if (names.includes(value)) select.value = value;
}

/**
 * Show words in an element, or hide it if there are none.
 * @param {HTMLElement} target
 * @param {string} words
 */
export function say(target, words) {
  if (target.textContent !== words) target.textContent = words;
  target.hidden = !words;
}
