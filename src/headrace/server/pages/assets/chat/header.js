/** Who answers, and why; the way to the dashboard. */
import { html } from "../vendor/preact.js";
import { Icon } from "./icons.js";
import { Pure } from "./pure.js";

/**
 * @extends {Pure<{about: any, agent: string, answered: string, side: boolean,
 *     choose: (agent: string) => void, toggle: () => void}>} `answered` is the model that last did.
 */
export class Header extends Pure {
  render({ about, agent, answered, side, choose, toggle }) {
    const agents = about?.agents ?? [];
    const one = agents.find(({ name }) => name === agent) ?? agents[0];
    const model = answered || one?.model || "";
    const why = (model === one?.model && one?.why) || ""; // why it was chosen, if that one answered
    return html`
      <header class="bar">
        <button type="button" id="menu" class="round" aria-expanded=${side ? "true" : "false"}
          aria-controls="side" onClick=${toggle} title="Conversations">
          <${Icon} name="menu" /><span class="unseen">Conversations</span>
        </button>
        ${agents.length > 1 && html`
          <select id="agent" aria-label="Agent" onChange=${(event) => choose(event.target.value)}>
            ${agents.map(({ name }) => html`<option value=${name} selected=${name === one.name}>
              ${name}</option>`)}
          </select>`}
        <p id="model" title=${why}>
          <strong>${model}</strong>
          ${why && html`<span class="soft why">${why}</span>`}
        </p>
        <a class="dashboard" href="dashboard" aria-label="Dashboard">
          <${Icon} name="chart" /><span>Dashboard</span>
        </a>
      </header>
    `;
  }
}
