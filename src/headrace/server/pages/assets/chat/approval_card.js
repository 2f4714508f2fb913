/** A call that waits until a person approves or denies it. */
import { html } from "../vendor/preact.js";
import { Pure } from "./pure.js";
import { argumentsText } from "./timeline.js";
import { focusLeft } from "./typing.js";

const WORDS = { approved: "Approved", denied: "Denied", over: "No longer asked" };

/**
 * @typedef {(runId: string, part: import("./timeline.js").ApprovalPart, approved: boolean) =>
 *     Promise<boolean>} Decide Whether the server has taken the decision.
 * @extends {Pure<{part: import("./timeline.js").ApprovalPart, runId: string, decide: Decide}>}
 */
export class ApprovalCard extends Pure {
  state = { sent: false };

  componentDidUpdate(_, before) {
    if (this.state.sent && !before.sent) focusLeft(); // a disabled button has no focus
  }

  #send = async (approved) => {
    const { part, runId, decide } = this.props;
    this.setState({ sent: true });
    // The run tells what was decided; until then nobody decides twice.
    if (!(await decide(runId, part, approved))) this.setState({ sent: false });
  };

  render({ part }, { sent }) {
    const args = argumentsText(part.input);
    return html`
      <section class="approval" data-state=${part.state} aria-label="Approval of ${part.name}">
        ${part.state === "waiting"
          ? html`<p>May <strong>${part.name}</strong> run with this?</p>
              <pre class="words" tabindex="0" role="group" aria-label="Arguments">${args}</pre>
              <p class="buttons">
                <button type="button" class="approve main" disabled=${sent}
                  onClick=${() => this.#send(true)}>Approve</button>
                <button type="button" class="deny" disabled=${sent}
                  onClick=${() => this.#send(false)}>Deny</button>
              </p>`
          : html`<p class="decided">
              <strong>${part.name}</strong><code class="tool-args">${args}</code>
              <span class="soft">${decided(part)}</span>
            </p>`}
      </section>
    `;
  }
}

const decided = ({ state, by, reason }) =>
  `${WORDS[state]}${by ? ` by ${by}` : ""}${reason ? `: ${reason}` : ""}`;
