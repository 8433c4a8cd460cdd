import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { rate } from './format.js';
import { chartData, KIND } from './history.js';

/** What is drawn, in this order. `--name` is the variable of its colour. */
const LINES = [
  { kind: 'allowed', label: 'Allowed', color: '--allowed' },
  { kind: 'quota', label: 'Refused: over quota', color: '--quota' },
  { kind: 'ban', label: 'Refused: banned', color: '--ban' },
  { kind: 'connections', label: 'Refused: connections', color: '--connections' },
  { kind: 'concurrency', label: 'Refused: too many in progress', color: '--connections', dash: [6, 3] },
  { kind: 'overload', label: 'Refused: overload', color: '--ban', dash: [6, 3] },
  { kind: 'dryRun', label: 'Would be refused (dry run)', color: '--dry', dash: [4, 4] },
  { kind: 'skipped', label: 'Skipped', color: '--skipped', dash: [2, 3] },
];

const RANGES = [
  { label: '5 min', range: 300, step: 2 },
  { label: '15 min', range: 900, step: 5 },
  { label: '1 h', range: 3600, step: 20 },
];

const HEIGHT = 240;

/** Requests per second. */
export function TrafficChart({ history, scheme }) {
  const [chosen, choose] = useState(0);
  const [hovered, setHovered] = useState(null);
  const { range, step } = RANGES[chosen];
  const data = useMemo(() => {
    const [times, ...columns] = chartData(history, range, step);
    // A ban refuses a request or, before that, its connection.
    columns[KIND.ban] = columns[KIND.ban].map((value, place) => value + columns[KIND.accept][place]);
    return [times, ...LINES.map(({ kind }) => columns[KIND[kind]])];
  }, [history, range, step]);
  const isDrawn = data.map((column, index) => index < 3 || column.some((value) => value > 0));
  // A line that is zero throughout would cover the others' zeros.
  const drawn = data.map((column, index) => (isDrawn[index] ? column : column.map(() => null)));
  const place = hovered ?? data[0].length - 1;
  return (
    <section class="panel" aria-labelledby="traffic">
      <div class="panel-head">
        <h2 id="traffic">Requests per second</h2>
        <fieldset class="segments">
          <legend class="hidden">Range of the chart</legend>
          {RANGES.map(({ label }, index) => (
            <button type="button" key={label} aria-pressed={index === chosen} onClick={() => choose(index)}>
              {label}
            </button>
          ))}
        </fieldset>
      </div>
      <Plot key={scheme} data={drawn} onHover={setHovered} />
      <ul class="legend" aria-label={hovered === null ? 'Now' : 'At the cursor'}>
        {LINES.map(
          ({ kind, label }, index) =>
            isDrawn[index + 1] && (
              <li key={kind}>
                <span class={`swatch ${kind}`} aria-hidden="true" />
                {label} <b>{rate(data[index + 1][place] ?? 0)}</b>
              </li>
            ),
        )}
      </ul>
    </section>
  );
}

function Plot({ data, onHover }) {
  const element = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const { current: parent } = element;
    const width = () => Math.max(200, parent.clientWidth);
    plot.current = new uPlot(options(parent, width(), onHover), data, parent);
    const observer = new ResizeObserver(() => plot.current.setSize({ width: width(), height: HEIGHT }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(data), [data]);
  return (
    <div
      class="plot"
      ref={element}
      role="img"
      aria-label="Requests per second over time; the list below has the values"
    />
  );
}

function options(parent, width, onHover) {
  const style = getComputedStyle(parent);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    hooks: { setCursor: [({ cursor: { idx } }) => onHover(idx ?? null)] },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
    axes: [
      { ...axis, space: 90, values: (_plot, times) => times.map(timeOf) },
      { ...axis, size: 48, values: (_plot, values) => values.map((value) => shortened(value)) },
    ],
    series: [
      {},
      ...LINES.map(({ label, color: name, dash }, index) => ({
        label,
        stroke: color(name),
        fill: index === 0 ? color('--allowed-area') : undefined,
        width: 2,
        dash,
        points: { show: false },
      })),
    ],
  };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const precise = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

const timeOf = (second) => (second % 60 === 0 ? clock : precise).format(second * 1000);
const shortened = (value) => (value >= 1000 ? `${value / 1000}k` : String(Math.round(value * 10) / 10));

/** Calls per minute as bars, the current minute last. */
export function Bars({ minutes, kind }) {
  const most = Math.max(1, ...minutes);
  return (
    <svg class={`bars ${kind}`} viewBox="0 0 50 16" aria-hidden="true">
      {minutes.map((value, index) => {
        const height = value === 0 ? 0.5 : Math.max(1.5, (16 * value) / most);
        return <rect key={index} x={index * 5} y={16 - height} width="4" height={height} rx="0.5" />;
      })}
    </svg>
  );
}
