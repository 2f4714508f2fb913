/** A chart: drawn by uPlot, told in its caption, and there as a table. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import uPlot from "../vendor/uplot.js";
import { steps } from "./charts.js";
import { clock } from "./format.js";
import { stacked } from "./series.js";

const HEIGHT = 170;
const MOST_ROWS = 60; // of the table
const COLOURS = 6; // --line-1 to --line-6 in dashboard.css

/**
 * @param {object} props
 * @param {import("./charts.js").Chart} props.chart
 * @param {import("./series.js").Columns} props.columns
 * @param {number} props.themes How often the colours have changed.
 */
export function ChartView({ chart, columns, themes }) {
  const [hovered, setHovered] = useState(/** @type {number | null} */ (null));
  const lines = chart.lines(columns);
  const canvas = usePlot(chart, columns, lines, themes, setHovered);
  const at = hovered !== null && hovered < columns.at.length ? hovered : null;
  const value = (column) => chart.words(at === null ? chart.sums(column) : column[at]);
  const silent = lines.every(([, column]) => column.every((value) => !value));
  const bounds = columns.bounds && (chart.id === "ttft" || chart.id === "gap");
  return html`
    <figure class="chart panel" data-chart=${chart.id}>
      <figcaption>
        <h3>${chart.title}</h3>
        <ul class="values">
          ${lines.map(
            ([name, column], i) => html`<li key=${name} data-line=${name}>
              <span class=${`swatch line-${(i % COLOURS) + 1}`}></span>
              ${name} <b>${value(column)}</b>
            </li>`,
          )}
          ${lines.length === 0 && html`<li>None.</li>`}
        </ul>
        <p class="note">
          ${at === null ? (silent ? "Nothing in this time." : chart.summed) : clock(columns.at[at])}
          ${bounds && " · of several models the slowest one’s"}
        </p>
      </figcaption>
      <div class="plot" ref=${canvas} aria-hidden="true"></div>
      <${Table} ...${{ chart, at: columns.at, lines }} />
    </figure>
  `;
}

/** Keeps a uPlot in an element: made anew when its lines change, else only given its data. */
function usePlot(chart, { at, span }, lines, themes, onHover) {
  const element = useRef(null);
  const plot = useRef(null);
  const shown = useRef(span);
  shown.current = span;
  const names = lines.map(([name]) => name).join("\n");
  useLayoutEffect(() => {
    const options = optionsFor(chart, lines, element.current, shown, onHover);
    const made = (plot.current = new uPlot(options, [[]], element.current));
    const fit = new ResizeObserver(([{ contentRect }]) =>
      made.setSize({ width: Math.floor(contentRect.width), height: HEIGHT }),
    );
    fit.observe(element.current);
    return () => {
      fit.disconnect();
      made.destroy();
    };
  }, [chart, names, themes]);
  useEffect(() => plot.current.setData(dataFor(chart, at, lines)));
  return element;
}

/** Of bars the highest first: the lower ones are drawn over it. */
function dataFor(chart, at, lines) {
  const columns = lines.map(([, column]) => column);
  return [at, ...(chart.kind === "bars" ? stacked(columns).reverse() : columns)];
}

function optionsFor(chart, lines, element, shown, onHover) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("soft"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  const series = lines.map(([name], i) => drawn(chart, name, colour(`line-${(i % COLOURS) + 1}`)));
  if (chart.kind === "bars") series.reverse();
  return {
    width: Math.max(100, element.clientWidth),
    height: HEIGHT,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, sync: { key: "headrace" } },
    scales: {
      x: { time: true, range: () => shown.current },
      y: { range: (_, __, highest) => [0, Math.max(1, (highest ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, values: (_, times) => times.map(hour), space: 60, size: 28 },
      { ...axis, values: (_, values) => values.map(chart.words), size: 62, incrs: steps(chart) },
    ],
    series: [{}, ...series],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx ?? null)] },
  };
}

const hour = (at) => clock(at).slice(0, 5);

function drawn(chart, label, stroke) {
  if (chart.kind === "bars") {
    const paths = uPlot.paths.bars({ size: [0.8, 24] });
    return { label, stroke, fill: stroke, paths, points: { show: false } };
  }
  const points = { show: true, size: 5, fill: stroke, filter: (plot, i) => alone(plot.data[i]) };
  return { label, stroke, width: 2, spanGaps: false, points };
}

/** Places of values without a neighbour: no line leads there, so they get a dot. */
const alone = (column) =>
  column.flatMap((value, i) =>
    value !== null && (column[i - 1] ?? null) === null && (column[i + 1] ?? null) === null ? i : [],
  );

/** The same as numbers: the last slots in which something was. */
function Table({ chart, at, lines }) {
  const [open, setOpen] = useState(false);
  return html`
    <details class="as-table" onToggle=${(event) => setOpen(event.target.open)}>
      <summary>As a table</summary>
      ${open && html`<${Rows} ...${{ chart, at, lines }} />`}
    </details>
  `;
}

function Rows({ chart, at, lines }) {
  const there = at.map((_, i) => i).filter((i) => lines.some(([, column]) => column[i]));
  const label = `${chart.title}, as a table`;
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label=${label}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            ${lines.map(([name]) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${there.slice(-MOST_ROWS).reverse().map(
            (i) => html`<tr key=${at[i]}>
              <th scope="row">${clock(at[i])}</th>
              ${lines.map(([, column]) => html`<td>${chart.words(column[i])}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
