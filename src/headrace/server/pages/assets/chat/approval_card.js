/** A call that waits until a person approves or denies it. */
import { html } from "../vendor/preact.js";
import { Pure } from "./pure.js";
import { argumentsText } from "./timeline.js";

const WORDS = { approved: "Approved", denied: "Denied", over: "No longer asked" };

/**
 * @typedef {(runId: string, part: import("./timeline.js").ApprovalPart, approved: boolean) =>
 *     Promise<void>} Decide
 * @extends {Pure<{part: import("./timeline.js").ApprovalPart, runId: string, decide: Decide}>}
 */
export class ApprovalCard extends Pure {
  state = { sent: false };

  render({ part, runId, decide }, { sent }) {
    const send = async (approved) => {
      this.setState({ sent: true });
      await decide(runId, part, approved);
      this.setState({ sent: false }); // the run tells what was decided
    };
    return html`
      <section class="approval" data-state=${part.state} aria-label="Approval of ${part.name}">
        <p>May <strong>${part.name}</strong> run with this?</p>
        <pre class="words" tabindex="0" role="group" aria-label="Arguments">${argumentsText(
          part.input,
        )}</pre>
        ${part.state === "waiting"
          ? html`<p class="buttons">
              <button type="button" class="approve main" disabled=${sent}
                onClick=${() => send(true)}>Approve</button>
              <button type="button" class="deny" disabled=${sent}
                onClick=${() => send(false)}>Deny</button>
            </p>`
          : html`<p class="soft">${decided(part)}</p>`}
      </section>
    `;
  }
}

const decided = ({ state, by, reason }) =>
  `${WORDS[state]}${by ? ` by ${by}` : ""}${reason ? `: ${reason}` : ""}`;
