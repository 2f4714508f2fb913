/** The runs that go on now, each with a button that stops it. */
import { html } from "../vendor/preact.js";
import { age, count, cut, plural, rate } from "./format.js";
import { StopButton } from "./stop_button.js";

/** @param {{told: any, now: number}} props The last snapshot, and the server's time. */
export function LiveRuns({ told, now }) {
  const { runs, totals } = told;
  return html`
    <section class="panel" aria-labelledby="live-title">
      <h2 id="live-title">Live runs</h2>
      <div class="scroll" tabindex="0" role="region" aria-labelledby="live-title">
        <table class="runs">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Agent</th>
              <th scope="col">Model</th>
              <th scope="col">User</th>
              <th scope="col">State</th>
              <th scope="col" class="number">Age</th>
              <th scope="col" class="number">Tokens</th>
              <th scope="col" class="number">Tokens/s</th>
              <th scope="col" class="number">Viewers</th>
              <th scope="col" class="number">Behind</th>
              <th scope="col"><span class="unseen">Stop</span></th>
            </tr>
          </thead>
          <tbody id="runs">
            ${runs.map((run) => html`<${LiveRun} key=${run.run_id} run=${run} now=${now} />`)}
            ${runs.length === 0 && NONE}
          </tbody>
        </table>
      </div>
      ${totals.live > runs.length &&
      html`<p class="note">${plural(totals.live - runs.length, "older run")} not shown.</p>`}
    </section>
  `;
}

const NONE = html`<tr><td colspan="11" class="note">No run is live.</td></tr>`;

function LiveRun({ run, now }) {
  const { run_id, agent, model, user, state, tokens, viewers, lag } = run;
  const [doing] = state.split(":");
  return html`
    <tr data-run=${run_id}>
      <td><${RunLink} id=${run_id} /></td>
      <td>${cut(agent, 40)}</td>
      <td>${cut(model, 50)}</td>
      <td>${cut(user, 40)}</td>
      <td class="run-state">
        <span class=${`state ${doing}`}>${cut(state.replace(":", " "), 60)}</span>
      </td>
      <td class="number">${age(now - run.started_at)}</td>
      <td class="number">${count(tokens)}</td>
      <td class="number">${rate(run.tokens_per_second)}</td>
      <td class="number">${count(viewers)}</td>
      <td class="number">${count(lag)}</td>
      <td><${StopButton} id=${run_id} /></td>
    </tr>
  `;
}

/** A link to a run's page. @param {{id: string}} props */
export const RunLink = ({ id }) =>
  html`<a class="run-link" href=${`#run=${encodeURIComponent(id)}`}><code>${id}</code></a>`;
