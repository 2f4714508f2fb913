/** A tool call: its name, its arguments as they come, how it goes, what it gave, its time. */
import { html } from "../vendor/preact.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";
import { duration } from "./words.js";

const STATES = { running: "running", done: "done", error: "failed" };

/** @extends {Pure<{part: import("./timeline.js").ToolPart}>} */
export class ToolCard extends Pure {
  render({ part }) {
    const { name, args, state, progress, output, ms } = part;
    return html`
      <details class="tool" data-state=${state} open=${state === "error"}>
        <summary>
          <${StateSign} state=${state} />
          <span class="tool-name">${name}</span>
          <code class="tool-args">${args}</code>
          <span class="tool-time">${ms === null ? "" : duration(ms)}</span>
          ${state === "running" && progress && html`<span class="tool-progress">${progress}</span>`}
        </summary>
        <div class="tool-body">
          ${args.length > 40 && html`<${Words} label="Arguments" text=${args} />`}
          ${state === "running"
            ? html`<p class="soft">No result yet.</p>`
            : html`<${Words} label=${state === "error" ? "Error" : "Result"} text=${output}
                name="tool-output" />`}
        </div>
      </details>
    `;
  }
}

/** Something long as it is, in a box that scrolls. */
const Words = ({ label, text, name = "" }) => html`
  <p class="tool-label">${label}</p>
  <pre class="words ${name}" tabindex="0" role="group" aria-label=${label}>${text}</pre>
`;

/** @param {{state: "running" | "done" | "error"}} props */
export const StateSign = ({ state }) => html`
  <span class="sign">
    ${state === "running"
      ? html`<span class="spinner"></span>`
      : html`<${Icon} name=${state === "done" ? "check" : "cross"} />`}
    <span class="unseen">${STATES[state]}</span>
  </span>
`;
