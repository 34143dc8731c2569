// Lines over the last minutes, drawn by uPlot in the colours of the theme.

import { el, setText } from './dom.js';
import { clockOf, say } from './format.js';

/* global uPlot */

const longest = 300; // s
const shortest = 60;

// Steps of the axes that people count in.
const seconds = [5, 10, 15, 30, 60, 120, 300];
const powers = Array.from({ length: 40 }, (_, i) => 2 ** i);

export class Chart {
  #plot;
  #values = [];

  /** @param lines `{name, field, tone}`; tone: a class of inspect.css */
  constructor({ title, kind, lines }) {
    this.lines = lines;
    this.kind = kind;
    this.legend = el('div', { class: 'legend' });
    for (const line of lines) {
      const value = el('b');
      this.#values.push(value);
      this.legend.append(el('span', {},
        el('i', { class: `swatch ${line.tone}` }), line.name, value));
    }
    this.when = el('span', { class: 'faint when' });
    this.canvas = el('div', { class: 'plot' });
    this.node = el('figure', { class: 'chart' },
      el('figcaption', {}, el('h3', { text: title }), this.when),
      this.legend, this.canvas);
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.canvas);
  }

  #size() {
    return { width: Math.max(80, Math.floor(this.canvas.clientWidth)),
      height: Math.max(80, Math.floor(this.canvas.clientHeight)) };
  }

  #resize() {
    this.#plot?.setSize(this.#size());
  }

  #make(data) {
    const tone = (i) => getComputedStyle(
      this.legend.children[i].firstChild).color;
    const faint = () => getComputedStyle(this.when).color;
    const line = () => getComputedStyle(this.canvas).borderTopColor;
    const axis = { stroke: faint, font: '11px system-ui, sans-serif',
      ticks: { show: false }, grid: { stroke: line, width: 1 } };
    const say1 = (x) => say(this.kind, x);
    this.#plot = new uPlot({
      ...this.#size(),
      padding: [8, 8, 0, 0],
      cursor: { sync: { key: 'greenroom' }, drag: { x: false, y: false },
        points: { size: 6 } },
      legend: { show: false },
      scales: {
        // What there is, up to five minutes of it.
        x: { time: true, range: (_, min, max) => [Math.max(max - longest,
          Math.min(min, max - shortest)), max] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 56, size: 30, gap: 9, incrs: seconds,
          values: (_, all) => all.map((x) => clockOf(x * 1000)) },
        { ...axis, size: 62, space: 36,
          ...(this.kind === 'byteRate' ? { incrs: powers } : {}),
          values: (_, all) => all.map((x) => say1(x)) },
      ],
      series: [{}, ...this.lines.map((x, i) => ({
        stroke: () => tone(i), width: 1.5, points: { show: false },
        spanGaps: false }))],
      hooks: { setCursor: [() => this.#tell()] },
    }, data, this.canvas);
  }

  #tell() {
    const at = this.#plot?.cursor.idx ?? null;
    const data = this.#plot.data;
    const i = at ?? data[0].length - 1;
    setText(this.when, at === null || !data[0][i] ? '' : clockOf(data[0][i] * 1000));
    this.lines.forEach((_, k) => {
      const x = data[k + 1][i];
      setText(this.#values[k], x === null || x === undefined ? '-'
        : say(this.kind, x));
    });
  }

  show(history) {
    if (!this.canvas.clientWidth)
      return; // not on the page yet
    const data = [history.columns.at,
      ...this.lines.map((x) => history.columns[x.field])];
    if (this.#plot)
      this.#plot.setData(data);
    else
      this.#make(data);
    this.#tell();
  }

  /** The colours have changed. */
  repaint() {
    this.#plot?.redraw(false);
  }

  close() {
    this.observer.disconnect();
    this.#plot?.destroy();
  }
}
