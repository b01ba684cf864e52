// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// page.js: what both pages need of the document and of their server.

export const $ = (id) => document.getElementById(id);

// An element with attributes and children. Text is always text: nothing here takes HTML.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? '' : value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

let guard = null; // a header that proves a request to come from this page, where the server wants one
export function setGuard(name, value) { guard = [name, value]; }

export async function ask(path, { method = 'GET', body, text = false } = {}) {
  const headers = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (guard) headers[guard[0]] = guard[1];
  let r;
  try {
    r = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error('The server does not answer. Does it still run?');
  }
  const got = await r.text();
  if (!r.ok) {
    let why = got;
    try { const j = JSON.parse(got); why = j.error || j.Error || got; } catch { /* it is text */ }
    throw new Error(why || `The server answers ${r.status}.`);
  }
  if (text) return got;
  try { return JSON.parse(got); } catch { return got; }
}

// Server-Sent Events; `handlers` by name. Says in #live whether they come.
export function follow(path, names, handle, again) {
  const live = $('live');
  const source = new EventSource(path);
  let lost = false;
  source.addEventListener('open', () => {
    live.textContent = 'Live';
    live.classList.add('on');
    if (lost) again();
    lost = false;
  });
  source.addEventListener('error', () => {
    lost = true;
    live.textContent = 'Not connected, trying again…';
    live.classList.remove('on');
  });
  for (const name of names)
    source.addEventListener(name, (e) => {
      let data = null;
      try { data = JSON.parse(e.data); } catch { /* an event without data */ }
      handle(name, data && data.Data !== undefined ? data.Data : data, e.lastEventId);
    });
  return source;
}

// A question with two answers, and perhaps a line to fill in; `act` may fail, which is shown, and the question stays; `after` comes when it is closed.
export function confirm({ title, text, yes, field, act, after = () => {} }) {
  const dialog = $('ask');
  $('ask-title').textContent = title;
  $('ask-text').textContent = text;
  $('ask-yes').textContent = yes;
  $('ask-field').hidden = !field;
  $('ask-to').value = '';
  $('ask-error').textContent = '';
  $('ask-yes').onclick = async (e) => {
    e.preventDefault();
    $('ask-yes').disabled = true;
    try {
      await act($('ask-to').value);
      dialog.close();
      after();
    } catch (error) {
      $('ask-error').textContent = error.message;
    } finally {
      $('ask-yes').disabled = false;
    }
  };
  dialog.showModal();
  $(field ? 'ask-to' : 'ask-no').focus();
}

// A <table> with a head; cells are strings or nodes.
export function table(heads, rows, caption) {
  return el('table', { class: 'table' },
    caption ? el('caption', { class: 'hidden' }, caption) : null,
    el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, rows.map((r) => el('tr', {}, r.map((c, i) => el(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : {}, c))))));
}
