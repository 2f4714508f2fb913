/**
 * The server's slots of time as columns to draw. Pure. `src/headrace/server/overview.py` defines
 * what comes.
 *
 * @typedef {Record<"p50" | "p95" | "p99", number | null>} Percentiles
 * @typedef {object} Slot
 * @property {number} at Unix seconds of its begin.
 * @property {string} model "" is all together.
 * @property {string} provider
 * @property {Record<string, number>} runs @property {Record<string, number>} errors
 * @property {Record<string, number>} retries @property {Record<string, number>} retracts
 * @property {number} tokens @property {number} viewers @property {number} lag
 * @property {Percentiles} ttft_ms @property {Percentiles} gap_ms
 *
 * Whose figures are drawn: all, a provider's, or a model's.
 * @typedef {{provider?: string, model?: string}} Choice
 *
 * @typedef {(number | null)[]} Column One value for each slot of the time that is drawn.
 * @typedef {object} Columns
 * @property {number[]} at Unix seconds.
 * @property {[number, number]} span From the first slot's begin to the last one's end.
 * @property {Record<"p50" | "p95" | "p99", Column>} ttft
 * @property {Record<"p50" | "p95" | "p99", Column>} gap
 * @property {Column} tokens A second.
 * @property {Map<string, Column>} errors By code.
 * @property {Map<string, Column>} retries Retries by how, then withdrawn texts by reason.
 * @property {Column} viewers
 * @property {Column} lag
 * @property {boolean} bounds Percentiles are upper bounds: several models' are not known together.
 */

const SHARES = ["p50", "p95", "p99"];

/** Codes and reasons of one chart that have a column of their own; the rest is `other`. */
export const MOST_NAMES = 6;

/** The slots that the page keeps, from one snapshot to the next. */
export class Slots {
  at = 0; // of the last snapshot
  step = 10; // seconds
  /** @type {Slot[]} */
  all = [];

  /** @param {any} told The next snapshot. */
  take({ at, since, slot_seconds, window_seconds, series }) {
    const oldest = at - window_seconds - slot_seconds;
    const kept = this.all.filter((slot) => slot.at < since && slot.at >= oldest);
    this.all = kept.concat(series);
    this.at = at;
    this.step = slot_seconds;
  }

  /** Providers with their models, sorted. @returns {Map<string, string[]>} */
  get models() {
    const models = new Map(this.all.map(({ model, provider }) => [model, provider]));
    models.delete("");
    const found = new Map();
    for (const model of [...models.keys()].sort()) {
      const provider = models.get(model);
      found.set(provider, [...(found.get(provider) ?? []), model]);
    }
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * What is drawn of the last `seconds`.
   * @param {Choice} choice
   * @param {number} seconds
   * @param {number} now Unix seconds of the server; nothing comes while nothing changes.
   * @returns {Columns}
   */
  columns(choice, seconds, now = this.at) {
    const { step } = this;
    const last = Math.floor(now / step) * step;
    const size = Math.max(1, Math.ceil(seconds / step));
    const at = Array.from({ length: size }, (_, i) => last - (size - 1 - i) * step);
    const groups = at.map(() => []);
    for (const slot of this.all) {
      const i = Math.round((slot.at - at[0]) / step);
      if (i >= 0 && i < size && chosen(slot, choice)) groups[i].push(slot);
    }
    const open = Math.max(1, Math.min(step, now - last)); // the last slot is still going on
    const lasted = (i) => (i === size - 1 ? open : step);
    return {
      at,
      span: [at[0], last + step],
      ttft: percentiles(groups, "ttft_ms"),
      gap: percentiles(groups, "gap_ms"),
      tokens: groups.map((slots, i) => sum(slots, (slot) => slot.tokens) / lasted(i)),
      errors: byName(groups, (slot) => slot.errors),
      retries: byName(groups, retriesOf),
      viewers: groups.map((slots) => most(slots, (slot) => slot.viewers) ?? 0),
      lag: groups.map((slots) => most(slots, (slot) => slot.lag) ?? 0),
      bounds: groups.some((slots) => slots.length > 1),
    };
  }
}

function chosen(slot, { provider, model }) {
  if (model !== undefined) return slot.model === model;
  if (provider !== undefined) return slot.provider === provider && slot.model !== "";
  return slot.model === "";
}

/** Of several models the largest: no percentile of all of them together is above it. */
function percentiles(groups, field) {
  const of = (share) => groups.map((slots) => most(slots, (slot) => slot[field][share]));
  return Object.fromEntries(SHARES.map((share) => [share, of(share)]));
}

function retriesOf({ retries, retracts }) {
  const withdrawn = Object.entries(retracts).map(([reason, n]) => [`withdrawn: ${reason}`, n]);
  return { ...retries, ...Object.fromEntries(withdrawn) };
}

/** A column for each name, the most frequent first. */
function byName(groups, countsOf) {
  const rows = groups.map((slots) => slots.flatMap((slot) => Object.entries(countsOf(slot))));
  const totals = new Map();
  for (const [name, n] of rows.flat()) totals.set(name, (totals.get(name) ?? 0) + n);
  const often = (a, b) => totals.get(b) - totals.get(a) || (a < b ? -1 : 1);
  const names = [...totals.keys()].sort(often);
  const own = names.length > MOST_NAMES ? names.slice(0, MOST_NAMES - 1) : names;
  if (own.length < names.length && !own.includes("other")) own.push("other");
  const columns = new Map(own.map((name) => [name, groups.map(() => 0)]));
  rows.forEach((row, i) => {
    for (const [name, n] of row) (columns.get(name) ?? columns.get("other"))[i] += n;
  });
  return columns;
}

const sum = (values, of = (value) => value) => values.reduce((all, value) => all + of(value), 0);

function most(slots, of) {
  const values = slots.map(of).filter((value) => value !== null);
  return values.length ? Math.max(...values) : null;
}

/** The last value that there is. @param {Column} column */
export const latest = (column) => column.findLast((value) => value !== null) ?? null;

/** All values together. @param {Column} column */
export const total = (column) => sum(column, (value) => value ?? 0);

/**
 * Columns on top of each other: the first stands at the bottom.
 * @param {Column[]} columns
 * @returns {number[][]} For each column its upper edge.
 */
export function stacked(columns) {
  let below = columns[0]?.map(() => 0) ?? [];
  return columns.map((column) => (below = column.map((value, i) => below[i] + (value ?? 0))));
}
