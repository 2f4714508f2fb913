/** The waterfall of a run: a row for each bar, on one axis of time. */
import { html } from "../vendor/preact.js";
import { cut, ms, plural } from "./format.js";
import { LONG_GAP, nested, partsOf, percent, ticks } from "./waterfall.js";

const KEY = [
  ["wait", "waiting for the model"],
  ["thought", "reasoning"],
  ["token", "answer"],
  ["tool_args", "a call's arguments"],
  ["gap", `silence of ${ms(LONG_GAP)} or more`],
  ["tool", "a tool runs"],
  ["agent", "an agent below"],
  ["approval", "waiting for a person"],
];

/**
 * @param {object} props
 * @param {import("./waterfall.js").Waterfall} props.waterfall
 * @param {number} props.length Of the run, in ms.
 * @param {number} props.position Of the replay, in ms.
 * @param {(ms: number) => void} props.onSeek
 */
export function WaterfallView({ waterfall, length, position, onSeek }) {
  const { bars, marks, left_out, joined } = waterfall;
  const kinds = new Set(bars.flatMap((bar) => partsOf(bar, length).map((part) => part.kind)));
  return html`
    <section class="panel" aria-labelledby="waterfall-title">
      <h2 id="waterfall-title">Where the time went</h2>
      <ul class="key" aria-label="Colours">
        ${KEY.filter(([kind]) => kinds.has(kind)).map(
          ([kind, words]) => html`<li><span class=${`swatch part ${kind}`}></span>${words}</li>`,
        )}
      </ul>
      <div class="axis" aria-hidden="true">
        ${ticks(length).map((at) => html`<span style=${atPercent(at, length)}>${ms(at)}</span>`)}
      </div>
      <ol id="waterfall">
        ${nested(bars).map(
          (bar) => html`<${BarRow} key=${bar.seq} ...${{ bar, length, position, onSeek }} />`,
        )}
      </ol>
      ${left_out > 0 && html`<p class="note">${plural(left_out, "more bar")} are not drawn.</p>`}
      ${joined > 0 &&
      html`<p class="note">
        ${plural(joined, "piece")} came joined to others, as is done with a long log: when each of
        them came is not shown.
      </p>`}
      ${marks.length > 0 && html`<${Marks} marks=${marks} onSeek=${onSeek} />`}
    </section>
  `;
}

function BarRow({ bar, length, position, onSeek }) {
  const { kind, depth, label, agent, withdrawn, error } = bar;
  const classes = ["bar", kind, withdrawn && "withdrawn", error && "failed"];
  const words = told(bar);
  return html`
    <li class=${classes.filter(Boolean).join(" ")} data-kind=${kind}>
      <button
        type="button"
        class="bar-label"
        style=${{ paddingInlineStart: `${0.5 + depth}rem` }}
        title="Show the run at this moment"
        onClick=${() => onSeek(bar.start)}
      >
        ${cut(label, 60)} ${agent && html`<small>${cut(agent, 40)}</small>`}
      </button>
      <span class="track" title=${words} aria-hidden="true">
        ${partsOf(bar, length).map(
          (part) => html`<span
            class=${`part ${part.kind}`}
            style=${{ left: within(part.left), width: `${part.width}%` }}
          ></span>`,
        )}
        ${bar.token !== null &&
        html`<span class="first" style=${{ left: within(percent(bar.token, length)) }}></span>`}
        <span class="here" style=${{ left: within(percent(position, length)) }}></span>
      </span>
      <span class="bar-time">${bar.end === null ? "…" : ms(bar.end - bar.start)}</span>
      <span class="unseen">${words}</span>
    </li>
  `;
}

/** What is too short to be drawn is still seen, also at the very end. */
const within = (at) => `min(${at}%, 100% - 2px)`;
const atPercent = (at, whole) => ({ left: `${percent(at, whole)}%` });

/** A bar in words: what its colours say. */
function told(bar) {
  const { detail, start, end, first, token, gaps, error, withdrawn } = bar;
  const silent = gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  return [
    detail,
    `from ${ms(start)}`,
    end === null ? "goes on" : `took ${ms(end - start)}`,
    first !== null && `first content after ${ms(first - start)}`,
    token !== null && `first token after ${ms(token - start)}`,
    gaps.length > 0 && `${plural(gaps.length, "long silence")}, ${ms(silent)}`,
    withdrawn && "withdrawn",
    error && `failed: ${cut(error, 200)}`,
  ]
    .filter(Boolean)
    .join(", ");
}

function Marks({ marks, onSeek }) {
  return html`
    <h3>What else happened</h3>
    <ul id="marks">
      ${marks.map(
        ({ at, kind, text }) => html`<li data-kind=${kind}>
          <button type="button" class="plain" onClick=${() => onSeek(at)}>${ms(at)}</button>
          <span class=${`tag ${kind}`}>${kind}</span> ${cut(text, 500)}
        </li>`,
      )}
    </ul>
  `;
}
