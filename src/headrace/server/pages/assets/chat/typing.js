/** What fields for many lines have in common. */

const MOST = 240; // pixels; then the field scrolls
const LONG = 5000; // characters: higher than that in any case, and to measure it takes long

/** Whether it is an input method that is meant, which ends or leaves a word with the same keys. */
const composes = (event) => event.isComposing || event.keyCode === 229;

/** Whether a key sends what was written; Shift breaks the line. */
export const sends = (event) => event.key === "Enter" && !event.shiftKey && !composes(event);

/** Whether a key leaves what one is at. */
export const leaves = (event) => event.key === "Escape" && !composes(event);

/** What had the focus is gone: on to the next question to a person, else to where one writes. */
export function focusLeft() {
  const next = document.querySelector(".approve:enabled");
  if (next) next.focus();
  else focusField(document.getElementById("input"));
}

/** Not where that would open a keyboard over half of the page. */
export function focusField(field) {
  if (!matchMedia("(pointer: coarse)").matches) field?.focus();
}

/** Makes a field as high as its text. */
export function grow(field) {
  const long = field.value.length > LONG;
  if (!long) field.style.height = "auto";
  field.style.height = `${long ? MOST : Math.min(field.scrollHeight + 2, MOST)}px`;
}
