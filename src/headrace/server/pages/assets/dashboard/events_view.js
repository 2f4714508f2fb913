/** A run's events, one after the other, as text. */
import { html, useState } from "../vendor/preact.js";
import { count, cut, ms, plural } from "./format.js";
import { detail, pageOf } from "./log_rows.js";

const MOST_LINE = 240; // characters of a row that is closed

/**
 * @param {object} props
 * @param {import("./log_rows.js").LogRows} props.log
 * @param {number} props.began Unix seconds of the run's first event.
 */
export function EventsView({ log, began }) {
  const [type, setType] = useState("");
  const [wanted, setWanted] = useState(0);
  const { page, pages, rows } = pageOf(log.of(type), wanted);
  return html`
    <section class="panel" aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      <div class="controls">
        <label for="event-type">Type</label>
        <select
          id="event-type"
          value=${type}
          onChange=${(event) => {
            setType(event.target.value);
            setWanted(0);
          }}
        >
          <option value="">all</option>
          ${[...log.types].map(
            ([name, n]) => html`<option value=${name}>${name} (${count(n)})</option>`,
          )}
        </select>
        ${pages > 1 && html`<${Pager} ...${{ page, pages, setWanted }} />`}
      </div>
      <ol id="events">
        ${rows.map((row) => html`<${EventRow} key=${row.from} row=${row} began=${began} />`)}
      </ol>
    </section>
  `;
}

function Pager({ page, pages, setWanted }) {
  const button = (words, to) => html`
    <button type="button" disabled=${to < 0 || to >= pages} onClick=${() => setWanted(to)}>
      ${words}
    </button>
  `;
  return html`
    ${button("Earlier", page - 1)}
    <span>${page + 1} of ${pages}</span>
    ${button("Later", page + 1)}
  `;
}

function EventRow({ row, began }) {
  const [open, setOpen] = useState(false);
  const { type, agent, from, to, at, until, text } = row;
  const pieces = row.count > 1;
  return html`
    <li data-type=${type}>
      <details onToggle=${(event) => setOpen(event.target.open)}>
        <summary>
          <span class="seq">${pieces || from !== to ? `${from}–${to}` : from}</span>
          <span class="when">${ms((at - began) * 1000)}</span>
          <span class=${`tag ${type}`}>${type}</span>
          ${agent && html`<span class="agent">${cut(agent, 60)}</span>`}
          ${pieces &&
          html`<span class="note">
            ${plural(row.count, "piece")} in ${ms((until - at) * 1000)}
          </span>`}
          <span class="line">${cut(text, MOST_LINE)}</span>
        </summary>
        ${open && html`<pre tabindex="0">${detail(row)}</pre>`}
      </details>
    </li>
  `;
}
