/** What fields for many lines have in common. */

const MOST = 240; // pixels; then the field scrolls

/** Whether a key sends what was written; Shift breaks the line, an input method ends its word. */
export const sends = (event) =>
  event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;

/** Makes a field as high as its text. */
export function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, MOST)}px`;
}
