// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// format.js: values as text, without a document: tests run it in node.

export function size(octets) {
  if (octets < 1000) return `${octets} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = octets / 1000, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit++; }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// "12:04" today, "30 Nov" this year, else "30 Nov 2025".
export function when(date, now = new Date(), locale = undefined) {
  const d = new Date(date);
  if (Number.isNaN(d.getTime())) return '';
  if (d.toDateString() === now.toDateString())
    return d.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit' });
  const parts = { day: 'numeric', month: 'short' };
  if (d.getFullYear() !== now.getFullYear()) parts.year = 'numeric';
  return d.toLocaleDateString(locale, parts);
}

export function moment(date, locale = undefined) {
  const d = new Date(date);
  return Number.isNaN(d.getTime()) ? '' : d.toLocaleString(locale, { dateStyle: 'full', timeStyle: 'medium' });
}

// A span of time in its largest units: "2 d 3 h", "4 min".
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ''}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${Math.floor(s % 3600 / 60) ? ` ${Math.floor(s % 3600 / 60)} min` : ''}`;
  return `${Math.floor(s / 86400)} d${Math.floor(s % 86400 / 3600) ? ` ${Math.floor(s % 86400 / 3600)} h` : ''}`;
}

export function person(a) {
  if (!a) return '';
  return a.Name && a.Name !== a.Address ? `${a.Name} <${a.Address}>` : a.Address;
}

export function people(list) {
  return (list || []).map(person).join(', ');
}

export function plural(n, one, many = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

// The search that a mailbox and what was typed make together.
export function search(mailbox, typed) {
  const words = typed.trim();
  const box = mailbox ? `mailbox:"${mailbox.replace(/"/g, '')}"` : '';
  return [box, words].filter(Boolean).join(' ');
}

// Text cut into plain pieces and addresses of the web: [{text}, {text, href}].
export function links(text) {
  const out = [], pattern = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/g;
  let at = 0;
  for (const m of text.matchAll(pattern)) {
    const href = m[0].replace(/[.,;:!?)\]]+$/, '');
    if (m.index > at) out.push({ text: text.slice(at, m.index) });
    out.push({ text: href, href });
    at = m.index + href.length;
  }
  if (at < text.length) out.push({ text: text.slice(at) });
  return out;
}

// The first digit of a reply's code, or 0: "550 5.1.1 No" is 5.
export function reply(line) {
  const m = /^([2-5])\d\d[ -]/.exec(line);
  return m ? Number(m[1]) : 0;
}

// Lines of a conversation put together as long as one side speaks: [{ from, at, lines }].
export function turns(lines) {
  const out = [];
  for (const l of lines) {
    const last = out[out.length - 1];
    if (last && last.from === l.from) last.lines.push(l.text);
    else out.push({ from: l.from, at: l.at, lines: [l.text] });
  }
  return out;
}

// Text with commands in backquotes, cut at them: every second piece is a command.
export function pieces(text) {
  const parts = text.split('`');
  return parts.length % 2 ? parts : [text];
}
