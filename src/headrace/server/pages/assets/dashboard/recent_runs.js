/** The reader's own last runs, finished ones too. */
import { html, useEffect, useState } from "../vendor/preact.js";
import { call } from "../chat/client.js";
import { cut, moment, ms, plural } from "./format.js";
import { RunLink } from "./live_runs.js";
import { StopButton } from "./stop_button.js";

const MOST = 50;
const SETTLE = 300; // ms: runs that end together are asked for together
const AGAIN = 10_000; // ms: whoever is told of no live runs sees his own end, too

/**
 * @param {object} props
 * @param {string} props.changes Where it is another, the list is asked for anew.
 * @param {boolean} props.stops Whether those that go on can be stopped here.
 * @param {(runs: any[]) => void} props.onRuns
 */
export function RecentRuns({ changes, stops, onRuns }) {
  const [runs, setRuns] = useState(/** @type {any[] | null} */ (null));
  useEffect(() => {
    const leaving = new AbortController();
    let timer = setTimeout(ask, runs === null ? 0 : SETTLE);
    async function ask() {
      try {
        const told = document.hidden ? null : await call(`v1/runs?limit=${MOST}`, leaving);
        if (leaving.signal.aborted) return;
        if (told) setRuns(told.runs);
        if (told) onRuns(told.runs);
      } catch {
        // The overview beside it says what is wrong with the server.
      }
      if (!leaving.signal.aborted) timer = setTimeout(ask, AGAIN);
    }
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [changes]);
  if (!runs?.length) return null;
  return html`
    <section class="panel" aria-labelledby="recent-title">
      <h2 id="recent-title">Recent runs</h2>
      <div class="scroll" tabindex="0" role="region" aria-labelledby="recent-title">
        <table class="runs">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Asked</th>
              <th scope="col">Agent</th>
              <th scope="col">Model</th>
              <th scope="col">Began</th>
              <th scope="col" class="number">Time</th>
              <th scope="col" class="number">Tokens</th>
              <th scope="col">End</th>
            </tr>
          </thead>
          <tbody id="recent">
            ${runs.map((run) => html`<${RecentRun} key=${run.run_id} run=${run} stops=${stops} />`)}
          </tbody>
        </table>
      </div>
      ${runs.length === MOST && html`<p class="note">The last ${plural(MOST, "run")}.</p>`}
    </section>
  `;
}

function RecentRun({ run, stops }) {
  const { run_id, title = "", agent, model, status, reason, created_at, ended_at, usage } = run;
  const tokens = usage ? `${usage.input ?? 0} → ${usage.output ?? 0}` : "";
  return html`
    <tr data-run=${run_id}>
      <td><${RunLink} id=${run_id} /></td>
      <td class="title">${cut(title, 80)}</td>
      <td>${cut(agent, 40)}</td>
      <td>${cut(model, 50)}</td>
      <td>${moment(created_at)}</td>
      <td class="number">${ended_at ? ms((ended_at - created_at) * 1000) : "…"}</td>
      <td class="number">${tokens}</td>
      <td>
        <span class=${`state ${status}`}>${status}</span>
        ${reason && html` <small>${cut(reason, 60)}</small>`}
        ${stops && status === "running" && html`<${StopButton} id=${run_id} />`}
      </td>
    </tr>
  `;
}
