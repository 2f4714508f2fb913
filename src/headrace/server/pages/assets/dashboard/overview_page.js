/** The first page: large numbers, live runs, charts over time, recent runs. */
import { html, useEffect, useMemo, useReducer, useState } from "../vendor/preact.js";
import { follow } from "./feed.js";
import { ChartView } from "./chart_view.js";
import { CHARTS, RANGES } from "./charts.js";
import { Empty } from "./empty.js";
import { age, count, ms, rate } from "./format.js";
import { LiveRuns } from "./live_runs.js";
import { Problem } from "./problem.js";
import { RecentRuns } from "./recent_runs.js";
import { Slots } from "./series.js";

/** @param {{onSignedIn: () => void}} props */
export function OverviewPage({ onSignedIn }) {
  const { slots, told, now, state, problem } = useOverview();
  const [recent, setRecent] = useState(/** @type {any[] | null} */ (null));
  const quiet = recent?.length === 0 && told?.totals.live === 0 && slots.all.length === 0;
  return html`
    <p id="status" role="status" data-state=${state}>${STATUS[state]}</p>
    ${problem && html`<${Problem} error=${problem} onSignedIn=${onSignedIn} />`}
    ${told && html`<${Numbers} totals=${told.totals} />`}
    ${quiet && html`<${Empty} />`}
    ${told && !quiet && html`<${LiveRuns} told=${told} now=${now} />`}
    ${told && !quiet && html`<${Charts} slots=${slots} now=${now} />`}
    ${problem?.status !== 401 &&
    html`<${RecentRuns}
      changes=${changesIn(told)}
      stops=${problem !== null}
      onRuns=${setRecent}
    />`}
  `;
}

/** What is another when a run has begun or ended, also one that was never seen live. */
const changesIn = (told) =>
  JSON.stringify([told?.runs.map((run) => run.run_id), told?.totals.runs]);

const TICK = 1000; // ms

const STATUS = {
  asking: "Asking the server …",
  live: "Live",
  lost: "The connection was lost. Trying again …",
  refused: "",
};

/** The server's snapshots as they come; none is drawn while nobody can see it. */
function useOverview() {
  const [view, setView] = useReducer((old, change) => ({ ...old, ...change }), {
    slots: new Slots(),
    told: null,
    now: 0, // of the server
    state: "asking",
    problem: null,
  });
  useEffect(() => {
    const leaving = new AbortController();
    let latest = null;
    let heard = 0;
    let timer = 0;
    const show = () => {
      clearTimeout(timer);
      if (document.hidden || !latest) return;
      const now = latest.at + (performance.now() - heard) / 1000;
      setView({ told: latest, now, state: "live" });
      timer = setTimeout(show, TICK); // ages grow although nothing comes
    };
    document.addEventListener("visibilitychange", show);
    follow("v1/overview/events", {
      signal: leaving.signal,
      onValue: (told) => {
        view.slots.take(told);
        latest = told;
        heard = performance.now();
        show();
      },
      onLost: () => {
        latest = null; // what was known stands still
        show();
        setView({ state: "lost" });
      },
    }).catch((problem) => setView({ state: "refused", problem }));
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", show);
      leaving.abort();
    };
  }, []);
  return view;
}

function Numbers({ totals }) {
  const { live, viewers, lag, tokens_per_second, errors_per_minute, ttft_ms, gap_ms } = totals;
  const since = `the last ${age(totals.seconds)}`;
  const behind = lag > 0 ? `${count(lag)} events behind` : "";
  return html`
    <dl id="numbers">
      <${Big} id="live" name="Live runs" words=${count(live)} />
      <${Big} id="tokens-per-second" name="Tokens/s" words=${rate(tokens_per_second)} />
      <${Big} id="ttft-p95" name="First token, p95" words=${ms(ttft_ms.p95)} note=${since} />
      <${Big} id="gap-p95" name="Gap, p95" words=${ms(gap_ms.p95)} note=${since} />
      <${Big} id="errors-per-minute" name="Errors/min" words=${count(errors_per_minute)} />
      <${Big} id="viewers" name="Viewers" words=${count(viewers)} note=${behind} />
    </dl>
  `;
}

const Big = ({ id, name, words, note = "" }) => html`
  <div class="panel">
    <dt>${name}</dt>
    <dd id=${id}>${words}</dd>
    ${note && html`<dd class="note">${note}</dd>`}
  </div>
`;

function Charts({ slots, now }) {
  const [whose, setWhose] = useState("");
  const [seconds, setSeconds] = useState(RANGES[1][0]);
  const themes = useThemes();
  const columns = useMemo(() => {
    const [kind, name] = whose ? JSON.parse(whose) : [];
    return slots.columns(kind ? { [kind]: name } : {}, seconds, now);
  }, [slots, now, whose, seconds]);
  return html`
    <section aria-labelledby="charts-title">
      <div class="controls">
        <h2 id="charts-title">Over time</h2>
        <label for="by-model">Of</label>
        <select id="by-model" value=${whose} onChange=${(event) => setWhose(event.target.value)}>
          <option value="">all models</option>
          ${[...slots.models].map(
            ([provider, models]) => html`<optgroup label=${provider || "others"}>
              ${provider && models.length > 1 && of("provider", provider, `all of ${provider}`)}
              ${models.map((model) => of("model", model))}
            </optgroup>`,
          )}
        </select>
        <label for="range">in the last</label>
        <select
          id="range"
          value=${seconds}
          onChange=${(event) => setSeconds(Number(event.target.value))}
        >
          ${RANGES.map(([value, words]) => html`<option value=${value}>${words}</option>`)}
        </select>
      </div>
      <div id="charts">
        ${CHARTS.map(
          (chart) => html`<${ChartView} key=${chart.id} ...${{ chart, columns, themes }} />`,
        )}
      </div>
    </section>
  `;
}

const of = (kind, name, words = name) =>
  html`<option value=${JSON.stringify([kind, name])}>${words}</option>`;

/** How often the system went from light to dark or back: a canvas does not see it by itself. */
function useThemes() {
  const [themes, change] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  return themes;
}
