/*
 * Plots of plain data, as SVG text: without a browser or a date, so equal numbers give equal bytes.
 *
 *   bars({ title, unit, groups: ['get', 'set'], series: [{ name, values: [1, 2], highlighted: true }] })
 *   lines({ title, unit, x: { name: 'threads', values: [1, 2] }, series: [...], shadedFrom: 4, shade: 'why' })
 *   writePlot('name', svg) writes it to docs/benchmarks and returns the Markdown that shows it
 *
 * A value that was not measured is `null`. `log: true` makes the value axis logarithmic.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import * as echarts from 'echarts';

const WIDTH = 860;
const LEGEND_WIDTH = 250;
/** Each colour for light and dark backgrounds, with a contrast of at least 3:1. */
const INK = ['#1f2328', '#e6edf3'];
const MUTED = ['#59636e', '#9198a1'];
const GRID = ['#d1d9e0', '#3d444d'];
const PAPER = ['#ffffff', '#0d1117'];
const SHADE = ['#f0f2f4', '#1a2029'];
const HIGHLIGHTED = [
  ['#0a55c4', '#6cb6ff'],
  ['#3f8ae0', '#a5d3ff'],
  ['#6a5be2', '#b5a9ff'],
  ['#0f7d9c', '#6fd6ee'],
];
/** Distinguishable with red-green colour blindness; lines also differ in dashes and marks. */
const OTHERS = [
  ['#c4501b', '#ff9c66'],
  ['#0b7a5b', '#3fd0a0'],
  ['#9a4fb0', '#d9a3ea'],
  ['#8a6100', '#e8b93e'],
  ['#c23a73', '#ff9ac0'],
  ['#6b7280', '#a7b0bb'],
  ['#5d7a12', '#b4d455'],
  ['#3b3f46', '#d5dae0'],
];
const PAIRS = [INK, MUTED, GRID, PAPER, SHADE, ...HIGHLIGHTED, ...OTHERS];
const DASHES = ['solid', 'dashed', 'dotted'];
const MARKS = ['circle', 'rect', 'triangle', 'diamond'];

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** Horizontal bars: in each group one bar per series. */
export function bars({ title, unit, groups, series, log = false }) {
  const height = 110 + groups.length * (18 + series.length * 17);
  return render(height, {
    ...frame({ title, unit, series }),
    yAxis: { ...axis(groups), inverse: true },
    xAxis: valueAxis(log),
    series: painted(series).map(({ name, values, colour }) => ({
      ...still,
      type: 'bar',
      name,
      data: values.map(orGap),
      itemStyle: { color: colour },
      barGap: '15%',
      barCategoryGap: '25%',
      label: {
        show: true,
        position: 'right',
        color: INK[0],
        formatter: ({ value }) => compact.format(value),
      },
    })),
  });
}

/** A line per series over the same points. From `shadedFrom` on the background is shaded and labelled `shade`. */
export function lines({ title, unit, x, series, log = false, shadedFrom, shade }) {
  const last = x.values.at(-1);
  const area = shadedFrom !== undefined && {
    ...still,
    itemStyle: { color: SHADE[0] },
    label: { position: 'insideTop', color: MUTED[0], formatter: shade },
    data: [[{ xAxis: String(shadedFrom) }, { xAxis: String(last) }]],
  };
  return render(400, {
    ...frame({ title, unit, series }),
    xAxis: {
      ...axis(x.values.map(String)),
      boundaryGap: false,
      name: x.name,
      nameLocation: 'middle',
      nameGap: 30,
      nameTextStyle: { color: MUTED[0] },
    },
    yAxis: valueAxis(log),
    series: painted(series).map(({ name, values, colour, highlighted, at }) => ({
      ...still,
      type: 'line',
      name,
      data: values.map(orGap),
      symbol: MARKS[at % MARKS.length],
      symbolSize: 7,
      itemStyle: { color: colour },
      lineStyle: {
        color: colour,
        width: highlighted ? 3.5 : 1.5,
        type: highlighted ? 'solid' : DASHES[at % DASHES.length],
      },
      markArea: at === 0 && area ? area : undefined,
    })),
  });
}

/** Writes a plot and returns the Markdown for a page in docs/. */
export function writePlot(name, svg, title) {
  const folder = new URL('../docs/benchmarks/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.svg`, folder), svg);
  return `![${title}](benchmarks/${name}.svg)`;
}

const still = { silent: true, animation: false, emphasis: { disabled: true } };

function frame({ title, unit, series }) {
  const legend = series.length > 1;
  return {
    animation: false,
    backgroundColor: PAPER[0],
    title: {
      text: title,
      subtext: unit,
      left: 16,
      top: 12,
      textStyle: { color: INK[0], fontSize: 16 },
      subtextStyle: { color: MUTED[0], fontSize: 12 },
    },
    legend: {
      show: legend,
      orient: 'vertical',
      left: WIDTH - LEGEND_WIDTH + 10,
      top: 66,
      itemWidth: 30,
      textStyle: { color: INK[0] },
      inactiveColor: MUTED[0],
    },
    grid: { left: 36, top: 72, bottom: 36, right: legend ? LEGEND_WIDTH + 24 : 64, containLabel: true },
  };
}

function axis(data) {
  return {
    type: 'category',
    data,
    axisLabel: { color: INK[0] },
    axisLine: { lineStyle: { color: GRID[0] } },
    axisTick: { show: false },
  };
}

function valueAxis(log) {
  return {
    type: log ? 'log' : 'value',
    axisLabel: { color: MUTED[0], formatter: (value) => compact.format(value), hideOverlap: true },
    splitLine: { lineStyle: { color: GRID[0] } },
  };
}

function painted(series) {
  const taken = { highlighted: 0, others: 0 };
  return series.map((one, at) => {
    const [palette, kind] = one.highlighted ? [HIGHLIGHTED, 'highlighted'] : [OTHERS, 'others'];
    return { ...one, at, colour: palette[taken[kind]++ % palette.length][0] };
  });
}

function orGap(value) {
  return value ?? '-';
}

function render(height, option) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption(option);
    return readableInTheDark(tidy(chart.renderToSVGString()));
  } finally {
    chart.dispose();
  }
}

/** Removes styles and attributes for pointers, and makes names independent of earlier plots. */
function tidy(svg) {
  return svg
    .replace(/<style >[\s\S]*?<\/style>\n?/g, '')
    .replace(/ ecmeta_\w+="[^"]*"/g, '')
    .replace(/ class="zr\d+-cls-\d+"/g, '')
    .replace(/zr\d+-/g, 'plot-');
}

/** Follows the colour scheme of the reader's system, as the theme of a page does not apply inside an image. */
function readableInTheDark(svg) {
  const rules = PAIRS.filter(([light]) => svg.includes(light)).flatMap(([light, dark]) =>
    ['fill', 'stroke'].map((use) => `[${use}="${light}"]{${use}:${dark}}`),
  );
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`;
  return `${svg.replace(/(<svg[^>]*>)/, `$1\n${style}`).trimEnd()}\n`;
}
