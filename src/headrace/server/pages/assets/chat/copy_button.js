/** Copies a text, and says for a moment that it has. */
import { html, useState } from "../vendor/preact.js";
import { Icon } from "./icons.js";

/** @param {{text: () => string, label: string, name: string}} props `name` is its class. */
export function CopyButton({ text, label, name }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text());
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`
    <button type="button" class="tool-button ${name}" onClick=${copy} title=${label}>
      <${Icon} name=${copied ? "check" : "copy"} />
      <span class="unseen">${copied ? "Copied" : label}</span>
    </button>
  `;
}

/** Also where the page came over plain HTTP from another machine, which has no clipboard. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).catch(() => byHand(text));
  byHand(text);
}

function byHand(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
