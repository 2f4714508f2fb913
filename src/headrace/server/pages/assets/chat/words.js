/** Times and counts in words. */

/** @param {number} ms @returns {string} Such as `85 ms`, `1.2 s`, `2 min 5 s`. */
export function duration(ms) {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * How an answer came, quietly; what is not known is left out.
 * @param {import("./timeline.js").Answer} answer
 * @returns {string[]}
 */
export function figures({ metrics, usage, finishReason, state }) {
  const said = [];
  const first = metrics?.time_to_first_token_ms;
  if (first !== null && first !== undefined) said.push(`first token after ${duration(first)}`);
  if (metrics?.tokens_per_second) said.push(`${rate(metrics.tokens_per_second)} tokens/s`);
  if (usage?.output) said.push(`${usage.exact ? "" : "about "}${tokens(usage.output)}`);
  if (state === "complete" && CUT[finishReason]) said.push(CUT[finishReason]);
  return said;
}

const CUT = {
  length: "cut at its longest",
  content_filter: "withheld by the model's provider",
  max_steps: "ended at the most steps",
};

const count = (number) => number.toLocaleString("en");
const tokens = (number) => `${count(number)} ${number === 1 ? "token" : "tokens"}`;
const rate = (number) => (number < 10 ? number.toFixed(1) : count(Math.round(number)));
