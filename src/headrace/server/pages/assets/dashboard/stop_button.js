/** A button that ends a run; what happens then the run's own events tell. */
import { cancel } from "../../headrace.js";
import { html, useState } from "../vendor/preact.js";
import { token } from "../chat/client.js";
import { cut } from "./format.js";

const TRIES = 2; // a person waits for it

/** @param {{id: string}} props */
export function StopButton({ id }) {
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState("");
  const stop = () => {
    setAsked(true);
    setProblem("");
    cancel(".", id, { token, reason: "stopped on the dashboard", maxRetries: TRIES })
      .catch((error) => setProblem(error.message))
      .finally(() => setAsked(false));
  };
  return html`
    <button
      type="button"
      class="stop-run"
      disabled=${asked}
      aria-label=${`Stop ${id}`}
      onClick=${stop}
    >
      ${asked ? "Stopping …" : "Stop"}
    </button>
    ${problem && html`<span class="note" role="alert">${cut(problem, 200)}</span>`}
  `;
}
