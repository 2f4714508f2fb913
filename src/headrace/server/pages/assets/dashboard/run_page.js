/** A run's page: how it stands, where its time went, its replay and its events. */
import { html, useReducer, useState } from "../vendor/preact.js";
import { EventsView } from "./events_view.js";
import { count, cut, ms, moment, rate } from "./format.js";
import { Problem } from "./problem.js";
import { ReplayView } from "./replay_view.js";
import { useRunLog } from "./run_log.js";
import { StopButton } from "./stop_button.js";
import { WaterfallView } from "./waterfall_view.js";

/** @param {{id: string, onSignedIn: () => void}} props */
export function RunPage({ id, onSignedIn }) {
  const log = useRunLog(id);
  const [following, setFollowing] = useState(true);
  const [, draw] = useReducer((n) => n + 1, 0);
  const { replay, waterfall, rows, length, live } = log;
  if (following) replay.seek(Infinity);
  const { position } = replay;
  const seek = (at) => {
    replay.seek(at);
    setFollowing(at === Infinity);
    draw();
  };
  return html`
    <article id="run" data-run=${id} data-state=${log.state.status}>
      <p class="back"><a href="#">All runs</a></p>
      <${Head} id=${id} log=${log} />
      ${log.problem && html`<${Problem} error=${log.problem} onSignedIn=${onSignedIn} />`}
      ${waterfall.bars.length + waterfall.marks.length > 0 &&
      html`<${WaterfallView} ...${{ waterfall, length, position, onSeek: seek }} />`}
      ${rows.rows.length > 0 &&
      html`
        <${ReplayView} ...${{ replay, live, following, onSeek: seek, onMove: draw }} />
        <${EventsView} log=${rows} began=${waterfall.began} />
      `}
    </article>
  `;
}

const toChat = (session) => `./#s=${encodeURIComponent(session)}`;
const LOST = "The connection was lost. Trying again …";

function Head({ id, log }) {
  const { state, waterfall, reading } = log;
  const { agent_name, model, session, status, finish_reason } = state;
  const { error_code, error_message, cancel_reason } = state;
  const why = error_code ? `${error_code}: ${error_message}` : (cancel_reason ?? finish_reason);
  const known = waterfall.began > 0;
  return html`
    <header class="run-head">
      <h2>${agent_name ? `${cut(agent_name, 80)}` : "Run"} <code>${id}</code></h2>
      <p>
        ${known && html`<strong class=${`state ${status}`}>${status}</strong>`}
        ${why && html` <span id="why">${cut(why, 1000)}</span>`}
        ${reading === "lost" && html` <span class="note">${LOST}</span>`}
        ${log.live && known && html` <${StopButton} id=${id} />`}
      </p>
      ${known && html`<dl class="facts">
        <${Fact} name="Model">${model}<//>
        <${Fact} name="Began">${moment(waterfall.began)}<//>
        <${Fact} name="Session">
          ${session && html`<a href=${toChat(session)}>${cut(session, 80)}</a>`}
        <//>
        <${Figures} log=${log} />
      </dl>`}
    </header>
  `;
}

/** Usage and figures: the run's own once it has ended, what is known by now before. */
function Figures({ log }) {
  const { usage, metrics, status, steps, tools } = log.state;
  const token = log.waterfall.bars.find((bar) => bar.agent === "" && bar.token !== null)?.token;
  const exact = usage.exact ? "" : " (estimated)";
  const ended = status !== "running" && metrics;
  return html`
    <${Fact} name="Time">${ms(ended ? metrics.duration_ms : log.length)}<//>
    <${Fact} name="First token">${ms(ended ? metrics.time_to_first_token_ms : token)}<//>
    <${Fact} name="Tokens/s">${ended ? rate(metrics.tokens_per_second) : ""}<//>
    <${Fact} name="Gap p50, p99">
      ${ended ? `${ms(metrics.gap_ms_p50)}, ${ms(metrics.gap_ms_p99)}` : ""}
    <//>
    <${Fact} name="Steps, calls">${`${count(steps)}, ${count(tools.length)}`}<//>
    <${Fact} name="Tokens in">${`${count(usage.input)}${exact}`}<//>
    <${Fact} name="of them cached">${usage.cached ? count(usage.cached) : ""}<//>
    <${Fact} name="Tokens out">${`${count(usage.output)}${exact}`}<//>
    <${Fact} name="of them reasoning">${usage.reasoning ? count(usage.reasoning) : ""}<//>
  `;
}

const Fact = ({ name, children }) =>
  children && children.length !== 0 && html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
