// Calls the pure parts of the dashboard: one JSON line [name, ...arguments] in, one with what it
// gives out.
import { createInterface } from "node:readline";

const PAGES = "../../src/headrace/server/pages/assets/dashboard";
const [waterfall, rows, replay, series, charts, format, terminal] = await Promise.all(
  ["waterfall", "log_rows", "replay", "series", "charts", "format", "commands"].map(
    (name) => import(`${PAGES}/${name}.js`),
  ),
);

const fed = (part, events) => {
  for (const event of events) part.add(event);
  return part;
};

const calls = {
  waterfall: (events) => {
    const { bars, marks, last, ended, joined, left_out } = fed(new waterfall.Waterfall(), events);
    return { bars, marks, last, ended, joined, left_out };
  },
  nested: (bars) => waterfall.nested(bars),
  steps: (id) => {
    const chart = charts.CHARTS.find((chart) => chart.id === id);
    return charts.steps(chart).map((step) => [step, [0, 1, 2, 3].map((n) => chart.words(n * step))]);
  },
  parts: (bar, whole) => waterfall.partsOf(bar, whole),
  ticks: (whole, most) => waterfall.ticks(whole, most),
  rows: (events, type = "") => {
    const log = fed(new rows.LogRows(), events);
    return { rows: log.of(type), types: [...log.types], details: log.of(type).map(rows.detail) };
  },
  page: (length, page) => rows.pageOf(Array.from({ length }, (_, i) => i), page),
  replay: (events, moves) => {
    const played = fed(new replay.Replay(), events);
    return moves.map(([name, ...args]) => {
      played[name](...args.map((value) => value ?? Infinity)); // which JSON does not have
      const { position, duration, over, folder } = played;
      return { position, duration, over, played: played.played, state: folder.state() };
    });
  },
  slots: (snapshots, choice, seconds, now) => {
    const slots = new series.Slots();
    for (const told of snapshots) slots.take(told);
    const { errors, retries, ...columns } = slots.columns(choice, seconds, now);
    const named = { errors: [...errors], retries: [...retries] };
    return { ...columns, ...named, models: [...slots.models], kept: slots.all.length };
  },
  chart: (snapshots, id) => {
    const slots = new series.Slots();
    for (const told of snapshots) slots.take(told);
    const chart = charts.CHARTS.find((chart) => chart.id === id);
    const lines = chart.lines(slots.columns({}, 60));
    return lines.map(([name, column]) => [name, chart.words(chart.sums(column))]);
  },
  stacked: (columns) => series.stacked(columns),
  format: (name, ...args) => format[name](...args),
  commands: (server, locked) => terminal.commands(server, locked),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  console.log(JSON.stringify(calls[name](...args)));
}
