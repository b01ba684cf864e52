// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// inbox.js: the inbox page, over Mailpit's API v1 and what Frank adds to it.
//
//   the address (#/message/ID) ──▶ open() ──▶ the reading pane
//   search, mailbox            ──▶ load() ──▶ the list
//   /api/events                ──▶ changes of the list, without moving the focus
import { $, ask, confirm, el, follow, setGuard, table } from './page.js';
import { links, moment, people, person, plural, reply, search, size, span, turns, when } from './format.js';

const PAGE = 50;
const VIEWS = ['HTML', 'Text', 'Headers', 'Source', 'Attachments', 'Session'];

const state = { messages: [], total: 0, unread: 0, all: 0, current: null, view: null, remote: false, about: null, loads: 0 };

const inConsole = location.pathname === '/inbox'; // else in the sandbox

const api = (path) => `/api/v1/${path}`;
const about = (id, rest = '') => api(`message/${encodeURIComponent(id)}${rest}`);
const terms = () => search($('mailbox').value, $('query').value);

function fail(error) {
  $('count').textContent = error.message;
  $('count').classList.add('bad');
}

// ---- the list ----

function row(m) {
  const from = m.From ? m.From.Name || m.From.Address : '(no sender)';
  return el('li', { 'data-id': m.ID, class: m.Read ? '' : 'new' },
    el('a', { href: `#/message/${m.ID}` },
      el('span', { class: 'from' }, m.Read ? '' : el('span', { class: 'hidden' }, 'Unread. '), from),
      el('time', { datetime: m.Created, title: moment(m.Created) }, when(m.Created)),
      el('span', { class: 'subject' }, m.Subject || '(no subject)'),
      m.Attachments ? el('span', { class: 'clip' }, plural(m.Attachments, 'attachment')) : null,
      el('span', { class: 'snippet' }, `to ${people(m.To) || people(m.Bcc) || '(nobody)'} · ${m.Snippet || ''}`)));
}

function rowOf(id) {
  return document.querySelector(`#messages li[data-id="${CSS.escape(id)}"]`);
}

function showCount() {
  const shown = terms() ? `${state.total.toLocaleString('en')} of ${state.all.toLocaleString('en')}` : state.total.toLocaleString('en');
  $('count').classList.remove('bad');
  $('count').textContent = state.unread ? `${shown}, ${state.unread.toLocaleString('en')} unread` : state.total ? `${shown}, all read` : '';
  document.title = `${state.unread ? `(${state.unread}) ` : ''}Inbox · Frank`;
  $('more').hidden = state.messages.length >= state.total;
  $('read-all').disabled = state.unread === 0;
  $('delete-all').disabled = state.total === 0 || (inConsole && terms() !== ''); // the console deletes by ID, or all
  $('empty').hidden = state.messages.length > 0;
  if (state.messages.length === 0) $('empty').replaceChildren(...emptyText());
}

function emptyText() {
  if (terms()) return [el('p', {}, el('strong', {}, 'Nothing matches.')), el('p', {}, 'Messages that arrive and match will appear here by themselves.')];
  const smtp = state.about && state.about.Submission;
  return [el('p', {}, el('strong', {}, 'No message yet.')),
    el('p', {}, smtp ? `Send one to port ${smtp.Port} of ${smtp.Host}, and it appears here by itself:` : 'It will appear here by itself.'),
    smtp ? el('pre', {}, `swaks --server ${smtp.Host}:${smtp.Port} -tls \\\n  --auth PLAIN \\\n  --auth-user ${smtp.Account} \\\n  --from ${smtp.Account} \\\n  --to you@example.org`) : null,
    smtp ? el('p', {}, 'Its password is in the sandbox’s folder; a program with an OAuth token can use XOAUTH2 instead.') : null].filter(Boolean);
}

async function load(start = 0) {
  const turn = ++state.loads;
  const q = terms();
  const path = q ? `search?query=${encodeURIComponent(q)}&` : 'messages?';
  try {
    const got = await ask(api(`${path}start=${start}&limit=${PAGE}`));
    if (turn !== state.loads) return; // a later one is on its way
    state.messages = start === 0 ? got.messages : state.messages.concat(got.messages);
    state.all = got.total;
    state.total = q ? got.messages_count ?? got.count : got.total;
    state.unread = q ? got.messages_unread ?? state.messages.filter((m) => !m.Read).length : got.unread;
    const list = $('messages');
    if (start === 0) list.replaceChildren(...got.messages.map(row));
    else list.append(...got.messages.map(row));
    mark();
    showCount();
  } catch (error) {
    fail(error);
  }
}

function mark() {
  for (const a of document.querySelectorAll('#messages a[aria-current]')) a.removeAttribute('aria-current');
  if (state.current) rowOf(state.current.ID)?.firstChild.setAttribute('aria-current', 'true');
}

// Without the full-text search there is no way to know whether a new message matches: the list is read anew, once for many.
let soon = null;
function loadSoon() {
  if (soon === null) soon = setTimeout(() => { soon = null; loadKept(); }, 150);
}

// Keeps focus and place: rows are keyed by their message.
async function loadKept() {
  const held = document.activeElement?.closest?.('#messages li')?.dataset.id;
  const top = document.querySelector('.list').scrollTop;
  await load();
  if (held) rowOf(held)?.firstChild.focus({ preventScroll: true });
  document.querySelector('.list').scrollTop = top;
}

function insert(m) {
  if (rowOf(m.ID)) return;
  const r = row(m), list = document.querySelector('.list');
  r.classList.add('arrived');
  const scrolled = list.scrollTop > 0;
  $('messages').prepend(r);
  if (scrolled) list.scrollTop += r.offsetHeight;
  state.messages.unshift(m);
  state.total++;
  state.all++;
  if (!m.Read) state.unread++;
  showCount();
  loadMailboxes();
}

function setRead(id, read) {
  const m = state.messages.find((x) => x.ID === id);
  if (!m || m.Read === read) return;
  m.Read = read;
  state.unread = Math.max(0, state.unread + (read ? -1 : 1));
  const old = rowOf(id), focused = old?.contains(document.activeElement);
  if (old) {
    const fresh = row(m);
    old.replaceWith(fresh);
    if (focused) fresh.firstChild.focus({ preventScroll: true });
  }
  mark();
  showCount();
}

function remove(id) {
  const at = state.messages.findIndex((x) => x.ID === id);
  if (at >= 0) {
    const [m] = state.messages.splice(at, 1);
    state.total--;
    state.all--;
    if (!m.Read) state.unread--;
    rowOf(id)?.remove();
  }
  if (state.current?.ID === id) location.hash = '';
  showCount();
}

function onEvent(name, data) {
  if (name === 'new' && data && !terms()) insert(data);
  else if (name === 'new') loadSoon();
  else if (name === 'update' && data?.Read !== undefined) setRead(data.ID, data.Read);
  else if (name === 'delete' && data) remove(data.ID);
  else if (name === 'prune' || name === 'truncate') loadSoon();
}

let boxes = 0;
async function loadMailboxes() {
  const turn = ++boxes, chosen = $('mailbox').value;
  let all;
  try { all = await ask(api('mailboxes')); } catch { return; }
  if (turn !== boxes) return;
  const names = Object.keys(all).sort();
  $('mailbox').replaceChildren(el('option', { value: '' }, 'All mailboxes'),
    ...names.map((n) => el('option', { value: n, selected: n === chosen }, `${n} (${all[n]})`)));
}

// ---- one message ----

function facts(m) {
  const rows = [['From', person(m.From) || '(no sender)'], ['To', people(m.To)], ['Cc', people(m.Cc)], ['Bcc', people(m.Bcc)],
    ['Reply-To', people(m.ReplyTo)], ['Date', moment(m.Date)], ['Size', size(m.Size)], ['Tags', (m.Tags || []).join(', ')]];
  return rows.filter(([, v]) => v).flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)]);
}

const panels = {
  HTML: async (m) => {
    const frame = el('iframe', { title: `HTML of the message “${m.Subject}”`, sandbox: 'allow-popups allow-popups-to-escape-sandbox',
      referrerpolicy: 'no-referrer', src: `/view/${encodeURIComponent(m.ID)}.html?embed=1${state.remote ? '&remote=1' : ''}` });
    const outside = /(?:src|srcset|background|href|poster|data)\s*=\s*["']?\s*(?:https?:)?\/\/|url\(\s*["']?\s*(?:https?:)?\/\/|@import/i.test(m.HTML);
    const note = state.remote || !outside ? null : el('p', { class: 'note' }, 'Content from elsewhere is blocked.',
      el('button', { type: 'button', onclick: () => { state.remote = true; show('HTML'); } }, 'Load images'));
    return el('div', { class: 'framed' }, note, frame);
  },
  Text: async (m) => el('pre', {}, links(m.Text || '').map((p) =>
    p.href ? el('a', { href: p.href, target: '_blank', rel: 'noopener noreferrer' }, p.text) : p.text)),
  Headers: async (m) => {
    const all = await ask(about(m.ID, '/headers'));
    return table(['Field', 'Value'], Object.entries(all).flatMap(([name, values]) => values.map((v) => [name, v])), 'Header fields');
  },
  Source: async (m) => el('pre', {}, await ask(about(m.ID, '/raw'), { text: true })),
  Attachments: async (m) => {
    const parts = [...(m.Attachments || []), ...(m.Inline || [])];
    if (!parts.length) return el('p', { class: 'empty' }, 'There are no attachments.');
    return table(['Name', 'Type', 'Size', ''], parts.map((p) => [p.FileName || `part ${p.PartID}`, p.ContentType, size(p.Size),
      el('a', { href: about(m.ID, `/part/${encodeURIComponent(p.PartID)}`), download: p.FileName || '' }, 'Save')]), 'Attachments');
  },
  Session: async (m) => {
    let s;
    try { s = await ask(about(m.ID, '/session')); } catch (error) { return el('p', { class: 'empty' }, error.message); }
    return session(s);
  },
};

function session(s) {
  const t = s.auth?.token;
  const rows = [
    ['Client', s.client && `${s.client.address}, port ${s.client.port}, EHLO ${s.client.hello}`],
    ['TLS', s.tls && (s.tls.version ? `${s.tls.version}, ${s.tls.cipher}, ${s.tls.mode === 'implicit' ? 'from the start' : 'by STARTTLS'}` : 'none')],
    ['Sign-in', s.auth && (s.auth.mechanism ? `${s.auth.mechanism} as ${s.auth.account}` : 'none')],
    ['Token', t && `${t.id}, by ${String(t.grant).replace(/_/g, ' ')} for the client ${t.client}, scopes ${t.scopes.join(' ')}, ${span(t.age)} old, ${t.expires_in > 0 ? `${span(t.expires_in)} left` : 'expired'}`],
    ['Envelope', s.envelope && `from ${s.envelope.sender || '<>'} to ${s.envelope.recipients.join(', ')}`],
    ['Faults', s.faults?.length && s.faults.join(', ')],
  ].filter(([, v]) => v);
  const speakers = { client: 'Client', server: 'Server', note: 'Note' };
  return el('div', { class: 'session' }, table(['What', 'How'], rows, 'How the message came'),
    el('ol', { class: 'talk', 'aria-label': 'SMTP conversation' }, turns(s.lines || []).map((t) =>
      el('li', { class: `${t.from} ${t.from === 'server' && reply(t.lines[0]) >= 4 ? 'refused' : ''}` },
        el('span', {}, speakers[t.from] || t.from), el('span', {}, t.lines.join('\n')), el('span', { class: 'at' }, `${t.at.toFixed(3)} s`)))));
}

function count(m, view) {
  return view === 'Attachments' ? (m.Attachments || []).length + (m.Inline || []).length : 0;
}

function tabs(m) {
  $('tabs').replaceChildren(...VIEWS.map((v, i) => el('button', { type: 'button', role: 'tab', id: `tab-${v}`, 'aria-controls': 'panel',
    'aria-selected': String(v === state.view), tabindex: v === state.view ? '0' : '-1', 'aria-keyshortcuts': String(i + 1),
    disabled: v === 'HTML' && !m.HTML, onclick: () => show(v), onkeydown: tabKeys }, count(m, v) ? `${v} (${count(m, v)})` : v)));
}

function tabKeys(e) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
  if (!step) return;
  e.preventDefault();
  const usable = [...document.querySelectorAll('#tabs [role=tab]:not(:disabled)')];
  const next = usable[(usable.indexOf(e.currentTarget) + step + usable.length) % usable.length];
  next.click();
  $(next.id).focus();
}

async function show(view) {
  const m = state.current;
  state.view = view;
  tabs(m);
  $('panel').setAttribute('aria-labelledby', `tab-${view}`);
  let node;
  try { node = await panels[view](m); } catch (error) { node = el('p', { class: 'empty bad' }, error.message); }
  if (state.current === m && state.view === view) $('panel').replaceChildren(node);
}

async function open(id, focus) {
  let m;
  try {
    m = await ask(about(id));
  } catch (error) {
    fail(error);
    close();
    return;
  }
  if (route() !== id) return;
  state.current = m;
  state.remote = false;
  $('nothing').hidden = true;
  $('message').hidden = false;
  document.body.classList.add('open');
  $('subject').textContent = m.Subject || '(no subject)';
  $('envelope').replaceChildren(...facts(m));
  $('download').href = about(m.ID, '/raw?dl=1');
  $('download').setAttribute('download', `${m.ID}.eml`);
  setRead(m.ID, true);
  mark();
  await show(state.view && !(state.view === 'HTML' && !m.HTML) ? state.view : m.HTML ? 'HTML' : 'Text');
  document.querySelector('.reading').scrollTop = 0;
  if (focus) $('reading').focus({ preventScroll: true });
}

function close() {
  const id = state.current?.ID;
  state.current = null;
  $('message').hidden = true;
  $('nothing').hidden = false;
  document.body.classList.remove('open');
  mark();
  if (id && (document.activeElement === document.body || $('reading').contains(document.activeElement)))
    (rowOf(id)?.firstChild || document.querySelector('#messages a') || $('query')).focus();
}

function route() {
  const m = /^#\/message\/([^/]+)$/.exec(location.hash);
  return m ? decodeURIComponent(m[1]) : null;
}

// ---- what people do ----

function onRoute() {
  const id = route();
  if (id) open(id, true);
  else close();
}

async function markUnread() {
  const id = state.current.ID;
  try {
    await ask(api('messages'), { method: 'PUT', body: { IDs: [id], Read: false } });
    setRead(id, false);
    location.hash = '';
  } catch (error) { fail(error); }
}

function drop() {
  const m = state.current, at = state.messages.findIndex((x) => x.ID === m.ID);
  const next = state.messages[at + 1] || state.messages[at - 1];
  confirm({ title: 'Delete this message?', text: m.Subject || '(no subject)', yes: 'Delete', act: async () => {
    await ask(api('messages'), { method: 'DELETE', body: { IDs: [m.ID] } });
    remove(m.ID);
  }, after: () => {
    close();
    (next && rowOf(next.ID)?.firstChild || $('query')).focus();
  } });
}

function release() {
  const m = state.current;
  if (inConsole) { // queued there, with its recipients
    confirm({ title: 'Release to delivery?', text: 'It is sent for real, to the recipients that it was accepted for.', yes: 'Release', act: () => ask(about(m.ID, '/release'), { method: 'POST', body: {} }) });
    return;
  }
  confirm({ title: 'Release this message', text: 'It is sent to these addresses, really.', yes: 'Send', field: true, act: async (to) => {
    const list = to.split(',').map((a) => a.trim()).filter(Boolean);
    if (!list.length) throw new Error('An address is needed.');
    await ask(about(m.ID, '/release'), { method: 'POST', body: { To: list } });
  } });
}

function deleteAll() {
  const q = terms();
  confirm({ title: q ? `Delete ${plural(state.total, 'message')} that match?` : 'Delete all messages?', text: q || 'They cannot be brought back.', yes: 'Delete', act: async () => {
    await ask(q ? api(`search?query=${encodeURIComponent(q)}`) : api('messages'), { method: 'DELETE' });
    location.hash = '';
    await load();
  } });
}

async function readAll() {
  const q = terms();
  try {
    await ask(api(`messages${q ? `?query=${encodeURIComponent(q)}` : ''}`), { method: 'PUT', body: { Read: true, ...(q ? { Search: q } : {}) } });
    await load();
  } catch (error) { fail(error); }
}

function move(step) {
  const rows = [...document.querySelectorAll('#messages a')];
  if (!rows.length) return;
  const held = document.activeElement?.closest?.('#messages a') || document.querySelector('#messages a[aria-current]');
  const at = rows.indexOf(held);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  next.focus();
  if (state.current && document.body.classList.contains('open')) location.hash = next.getAttribute('href');
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
  if (e.key === 'Escape') {
    if (typing) e.target.blur();
    else if (state.current) location.hash = '';
    return;
  }
  if (typing) return;
  const inList = e.target.closest?.('#messages') || e.target === document.body;
  const keys = { '/': () => $('query').focus(), '?': () => $('help').showModal(), j: () => move(1), k: () => move(-1) };
  if (inList) Object.assign(keys, { ArrowDown: () => move(1), ArrowUp: () => move(-1) });
  if (state.current) {
    Object.assign(keys, { u: markUnread, Delete: drop });
    VIEWS.forEach((v, i) => { keys[String(i + 1)] = () => $(`tab-${v}`).disabled || show(v); });
  }
  if (!keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
}

async function begin() {
  if (inConsole) {
    setGuard('X-Frank-Guard', (await ask('/api/console/session')).token);
    $('console').hidden = false;
  }
  let typing = null;
  $('search').addEventListener('submit', (e) => { e.preventDefault(); load(); });
  $('query').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => load(), 200); });
  $('mailbox').addEventListener('change', () => load());
  $('more').addEventListener('click', () => load(state.messages.length));
  $('read-all').addEventListener('click', readAll);
  $('delete-all').addEventListener('click', deleteAll);
  $('unread').addEventListener('click', markUnread);
  $('delete').addEventListener('click', drop);
  $('release').addEventListener('click', release);
  $('back').addEventListener('click', () => { location.hash = ''; });
  $('help-open').addEventListener('click', () => $('help').showModal());
  addEventListener('hashchange', onRoute);
  addEventListener('keydown', onKey);
  follow('/api/events', ['new', 'update', 'delete', 'prune', 'truncate'], onEvent, loadKept);
  try {
    state.about = await ask(api('webui'));
    $('release').hidden = !(state.about.MessageRelay && state.about.MessageRelay.Enabled);
  } catch { $('release').hidden = true; }
  await Promise.all([load(), loadMailboxes()]);
  if (route()) onRoute();
}

begin();
