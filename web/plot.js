// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// plot.js: figures over time as drawings. Without a document: what comes out is a tree of [name, attributes, ...children], which
// console.js makes into SVG and tests look at in node.

const HEIGHT = 200, LEFT = 72, RIGHT = 12, TOP = 12, BOTTOM = 26;

// At most `most` round values from 0 to at least `top`: 1, 2 or 5 times a power of ten apart.
export function ticks(top, most = 5, whole = false) {
  if (!(top > 0)) return [0, 1];
  const least = Math.max(top / (most - 1), whole ? 1 : 0);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= least * (1 - 1e-9));
  const out = [];
  for (let n = 0; (n - 1) * step < top * (1 - 1e-9); n++) out.push(Number((n * step).toPrecision(12)));
  return out;
}

// Durations want other round values: those of clocks.
export function clockTicks(top, most = 5) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const step = steps.find((s) => Math.ceil(top / s) < most);
  if (!step) return ticks(top, most);
  const out = [];
  for (let at = 0; at < top + step; at += step) out.push(at);
  return out.length > 1 ? out : [0, step];
}

// Moments on the lower edge: whole minutes, hours or days, local time.
export function timeTicks(from, to, most = 6) {
  const steps = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
  const step = steps.find((s) => (to - from) / s <= most) || steps[steps.length - 1];
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const out = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) out.push(at);
  return out;
}

export function clock(seconds, long, locale = undefined) {
  const d = new Date(seconds * 1000);
  return long ? d.toLocaleDateString(locale, { day: 'numeric', month: 'short' })
    : d.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', hour12: false });
}

/*
 * Lines over time. `series`: [{ name, points: [[seconds, value], ...] }], at most four, told apart by dashes as well as by colour;
 * a value of null makes a gap. `show` writes a value, `isClock` says that values are seconds, `whole` that they are whole numbers, `dots` draws points without a line.
 */
export function lines({ title, series, show = String, isClock = false, whole = false, dots = false, width = 640 }) {
  const all = series.flatMap((s) => s.points).filter(([, v]) => v !== null);
  const first = Math.min(...all.map(([t]) => t)), last = Math.max(...all.map(([t]) => t)), right = width - RIGHT;
  const most = Math.max(0, ...all.map(([, v]) => v)), values = isClock ? clockTicks(most) : ticks(most, 5, whole);
  const top = values[values.length - 1], range = Math.max(1, last - first);
  const x = (t) => round(LEFT + (right - LEFT) * (t - first) / range);
  const y = (v) => round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v / top);
  const what = series.map((s) => `${s.name}: ${summary(s.points, show)}`).join('; ');
  return ['svg', { class: 'plot', viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': `${title}. ${what}` },
    ['title', {}, title],
    ['desc', {}, what],
    ...values.map((v) => ['g', { class: 'grid' },
      ['line', { x1: LEFT, x2: right, y1: y(v), y2: y(v) }],
      ['text', { x: LEFT - 8, y: y(v) + 4, 'text-anchor': 'end' }, show(v)]]),
    ...(all.length ? timeTicks(first, last, width / 100).map((t) => ['text', { class: 'time', x: x(t), y: HEIGHT - 6, 'text-anchor': anchor(x(t), right) },
      clock(t, range > 2 * 86400)]) : []),
    ...series.map((s, i) => dots
      ? ['g', { class: `series s${i}` }, ...s.points.filter(([, v]) => v !== null).map(([t, v]) => mark(i, x(t), y(v)))]
      : ['path', { class: `series s${i}`, d: path(s.points, x, y) }])];
}

function round(n) { return Math.round(n * 10) / 10; }

function anchor(at, right) { return at < LEFT + 20 ? 'start' : at > right - 20 ? 'end' : 'middle'; }

// Circle, square, diamond, triangle: series differ without colour too.
export function mark(i, x, y) {
  const d = [`M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0-8 0`, `M${x - 4} ${y - 4}h8v8h-8z`, `M${x} ${y - 5}l5 5l-5 5l-5-5z`, `M${x} ${y - 5}l5 9h-10z`];
  return ['path', { d: d[i % d.length] }];
}

function path(points, x, y) {
  let d = '', pen = false;
  for (const [t, v] of points) {
    if (v !== null) d += `${pen ? 'L' : 'M'}${x(t)} ${y(v)}`;
    pen = v !== null;
  }
  return d;
}

export function summary(points, show = String) {
  const known = points.filter(([, v]) => v !== null).map(([, v]) => v);
  if (!known.length) return 'nothing yet';
  return `now ${show(known[known.length - 1])}, between ${show(Math.min(...known))} and ${show(Math.max(...known))}`;
}

// Counters as a rate a minute between neighbouring samples; a counter that went back began anew.
export function rates(points) {
  const out = [];
  for (let i = 1; i < points.length; i++) {
    const [t0, v0] = points[i - 1], [t1, v1] = points[i];
    if (v0 === null || v1 === null || t1 <= t0) continue;
    out.push([t1, (v1 >= v0 ? v1 - v0 : v1) * 60 / (t1 - t0)]);
  }
  return out;
}
