/** The charts of the dashboard: what each shows, from the columns of `series.js`. Pure. */
import { count, ms, rate } from "./format.js";
import { latest, total } from "./series.js";

/**
 * @typedef {import("./series.js").Columns} Columns
 * @typedef {object} Chart
 * @property {string} id
 * @property {string} title
 * @property {"lines" | "bars"} kind Bars stand on top of each other.
 * @property {(value: number | null) => string} words A value as a person reads it.
 * @property {(column: import("./series.js").Column) => number | null} sums A line in one value.
 * @property {string} summed What that value is.
 * @property {(columns: Columns) => [name: string, column: import("./series.js").Column][]} lines
 */

const lately = { kind: "lines", sums: latest, summed: "latest" };
const counted = { kind: "bars", words: count, sums: total, summed: "in all" };

/** @type {Chart[]} */
export const CHARTS = [
  {
    ...lately,
    id: "ttft",
    title: "Time to first token",
    words: ms,
    lines: ({ ttft }) => Object.entries(ttft),
  },
  {
    ...lately,
    id: "gap",
    title: "Gap between tokens",
    words: ms,
    lines: ({ gap }) => Object.entries(gap),
  },
  {
    ...lately,
    id: "tokens",
    title: "Tokens per second",
    words: rate,
    lines: ({ tokens }) => [["tokens/s", tokens]],
  },
  { ...counted, id: "errors", title: "Errors by code", lines: ({ errors }) => [...errors] },
  {
    ...counted,
    id: "retries",
    title: "Retries and withdrawn text",
    lines: ({ retries }) => [...retries],
  },
  {
    ...lately,
    id: "viewers",
    title: "Viewers, and events they are behind",
    words: count,
    lines: ({ viewers, lag }) => [
      ["viewers", viewers],
      ["largest lag", lag],
    ],
  },
];

const STEPS = Array.from({ length: 8 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** (i - 1))).flat();

/**
 * Steps of a chart's axis, whose figures all differ in words: 0.25 and 0.3 do not.
 * @param {Chart} chart
 */
export const steps = ({ words }) => STEPS.filter((step) => step >= 1 || words !== count);

/** Spans of time that may be drawn, in seconds. */
export const RANGES = [
  [300, "5 minutes"],
  [900, "15 minutes"],
  [3600, "1 hour"],
];
