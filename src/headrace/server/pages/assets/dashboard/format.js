/** Figures in words that a person reads at a glance; what is not known is a dash. */

const UNKNOWN = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
/** @type {Intl.DateTimeFormatOptions} */
const DAY = { month: "short", day: "numeric" };
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** @param {number | null | undefined} value */
const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A number of things: `12,345`. @param {number | null} [value] */
export const count = (value) => (known(value) ? whole.format(value) : UNKNOWN);

/**
 * Tokens a second and the like: a decimal where it says something.
 * @param {number | null} [value]
 */
export const rate = (value) =>
  known(value) ? (value < 10 ? tenth : whole).format(value) : UNKNOWN;

/** A short time in ms: `0.4 ms`, `320 ms`, `1.24 s`, `2 min 5 s`. @param {number | null} [value] */
export function ms(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 9.95) return `${tenth.format(value)} ms`;
  if (value < 999.5) return `${whole.format(value)} ms`;
  if (value < 9995) return `${(value / 1000).toFixed(2)} s`;
  if (value < 59_950) return `${(value / 1000).toFixed(1)} s`;
  return age(value / 1000);
}

/**
 * An age in seconds, two units at most: `8 s`, `3 min 20 s`, `2 h 5 min`.
 * @param {number | null} [value]
 */
export function age(value) {
  if (!known(value)) return UNKNOWN;
  const seconds = Math.max(0, Math.round(value));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

const two = (more, big, less, small) => `${more} ${big}${less ? ` ${less} ${small}` : ""}`;

/** The time of day, where the reader is. @param {number | null} [at] Unix seconds. */
export const clock = (at) =>
  known(at) ? new Date(at * 1000).toLocaleTimeString([], { hourCycle: "h23" }) : UNKNOWN;

/** Day and time, where the reader is. @param {number | null} [at] Unix seconds. */
export const moment = (at) =>
  known(at) ? `${new Date(at * 1000).toLocaleDateString([], DAY)}, ${clock(at)}` : UNKNOWN;

/** A text cut to `most` characters, with a mark where it was. @param {string} text */
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
