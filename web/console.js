// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// console.js: the console page, over the API that console/openapi.json describes.
//
//   the address (#/queue/ID) ──▶ VIEWS ──▶ a view loads what it shows and draws it
//   /api/console/events      ──▶ the view is drawn again; focus and opened details stay
import { $, ask, confirm, el, follow, setGuard, table } from './page.js';
import { moment, pieces, plural, size, span, when } from './format.js';
import { lines, mark, rates } from './plot.js';

const SECTIONS = [['overview', 'Overview'], ['accounts', 'Accounts'], ['queue', 'Queue'], ['captured', 'Captured'], ['services', 'Services'], ['checks', 'Checks']];
const state = { me: null, turn: 0, filters: {}, signIns: {}, checking: new Set() };

const api = (...path) => `/api/console/${path.map(encodeURIComponent).join('/')}`;
const now = () => Date.now() / 1000;
const ago = (seconds) => `${span(now() - seconds)} ago`;
const left = (seconds) => (seconds > now() ? `in ${span(seconds - now())}` : `${span(now() - seconds)} ago`);
const time = (seconds) => el('time', { datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds * 1000) }, when(seconds * 1000));

// ---- what several views show ----

const STATES = {
  active: ['good', 'Active'], delivered: ['good', 'Delivered'], valid: ['good', 'Valid'], ok: ['good', 'Works'], pass: ['good', 'Passed'], passes: ['good', 'Passed'],
  good: ['good', 'Inbox'], weak: ['warn', 'Inbox, weakly authenticated'], junk: ['bad', 'Junk'], missing: ['bad', 'Not found'], info: ['', 'Note'],
  queued: ['', 'Queued'], sending: ['', 'Sending'], captured: ['', 'Captured'], held: ['warn', 'Held'], deferred: ['warn', 'Deferred'], throttled: ['warn', 'Throttled'],
  unreachable: ['warn', 'Unreachable'], warn: ['warn', 'Warning'], skip: ['', 'Skipped'], note: ['', 'Note'], bounced: ['bad', 'Bounced'], failed: ['bad', 'Failed'], fail: ['bad', 'Failed'],
  refused: ['bad', 'Refused'], configuration: ['bad', 'Configuration'], 'needs-authorization': ['bad', 'Needs authorization'], 'client-error': ['bad', 'Client refused'],
};
const MARKS = { good: '✓', warn: '!', bad: '×', '': '·' };

function chip(name) {
  const [kind, text] = STATES[name] || ['', String(name || 'unknown').replace(/-/g, ' ')];
  return el('span', { class: `state ${kind}` }, el('span', { 'aria-hidden': 'true' }, MARKS[kind]), text);
}

const prose = (text) => pieces(text).map((p, i) => (i % 2 ? el('code', {}, p) : p));

function step(text) {
  return text ? el('p', { class: 'next' }, el('b', {}, 'Next step'), el('span', {}, prose(text))) : null;
}

function facts(rows) {
  return el('dl', {}, rows.filter(([, v]) => v !== undefined && v !== null && v !== '' && v !== false)
    .map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', {}, v))));
}

function empty(...lines_) {
  return el('div', { class: 'empty' }, lines_.map((l, i) => (typeof l === 'string' ? el('p', {}, i === 0 ? el('strong', {}, l) : l) : l)));
}

function sheet(heads, rows, caption) {
  const t = table(heads, rows, caption);
  for (const tr of t.tBodies[0].rows) [...tr.cells].forEach((c, i) => { c.dataset.name = heads[i]; });
  return el('div', { class: 'sheet stack' }, t);
}

function button(text, key, act, kind = '') {
  return el('button', { type: 'button', class: kind, 'data-key': key, onclick: act }, text);
}

function say(text) { $('done').textContent = text; }

function complain(error) {
  $('notice').textContent = error ? error.message : '';
  $('notice').hidden = !error;
}

// Does something and draws the view anew.
async function perform(path, said, method = 'POST', body = {}) {
  const got = await ask(path, { method, body });
  complain(null);
  say(said);
  await draw();
  return got;
}

const doing = (...args) => async () => { try { await perform(...args); } catch (e) { complain(e); } };

// ---- accounts ----

function credential(a) {
  const c = a.credential || {};
  return facts([['Provider', a.provider], ['Grant', a.grant], ['Server', a.endpoint], ['Signed in as', c.identity], ['Scope', c.scope],
    ['Credential', c.state && !['valid', 'active'].includes(c.state) ? c.state.replace(/-/g, ' ') : c.since && `given ${ago(c.since)}`],
    ['Access token', c.until && `${c.until > now() ? 'ends' : 'ended'} ${left(c.until)}`], ['In the queue', a.queued ? plural(a.queued, 'message') : 'nothing'],
    ['Since', a.since && a.state !== 'active' && ago(a.since)], ['Tries again', a.until && a.until > now() && left(a.until)]]);
}

function accountActions(a) {
  if (!state.me.administrator) return null;
  const name = a.account, path = (what) => api('accounts', name, what);
  const signsIn = ['authorization-code', 'device-code'].includes(a.grant), wants = a.state === 'needs-authorization' || a.credential?.state === 'needs-authorization';
  return el('div', { class: 'actions' },
    signsIn ? button(wants ? 'Authorize' : 'Authorize again', `authorize-${name}`, () => authorize(name), wants ? 'primary' : '') : null,
    state.checking.has(name) ? el('span', { class: 'faint', role: 'status' }, 'Checking…') : button('Check now', `check-${name}`, () => check(name)),
    a.state !== 'active' ? button('Retry', `retry-${name}`, doing(path('retry'), `${name} is tried again.`)) : null,
    a.state === 'held' ? button('End the hold', `release-${name}`, doing(path('release'), `${name} sends again.`))
      : button('Hold', `hold-${name}`, doing(path('hold'), `${name} is held.`)));
}

function signIn(name) {
  const s = state.signIns[name];
  if (!s) return null;
  const texts = { waiting: 'Waiting for the sign-in in the other window.', done: s.text || 'Signed in.', failed: s.text || 'The sign-in failed.' };
  return el('div', { class: 'next', role: 'status' }, el('b', {}, { waiting: 'Sign-in', done: 'Signed in', failed: 'Sign-in failed' }[s.state]), el('span', {}, texts[s.state],
    s.state === 'waiting' && s.url ? [' ', el('a', { href: s.url, target: '_blank', rel: 'noopener noreferrer', 'data-key': `url-${name}` }, 'Open the sign-in page'),
      s.code ? [' and type ', el('code', {}, s.code)] : '', ' ', button('Cancel', `cancel-${name}`, () => cancel(name), 'quiet')] : ''));
}

async function authorize(name) {
  // The window is opened by the click itself: one that is opened later would be blocked.
  const tab = window.open('about:blank', '_blank');
  try {
    const s = await ask(api('accounts', name, 'authorize'), { method: 'POST', body: {} });
    state.signIns[name] = s;
    if (tab && s.url) { tab.opener = null; tab.location.replace(s.url); } else if (tab) tab.close();
    complain(null);
    await draw();
  } catch (e) {
    if (tab) tab.close();
    complain(e);
  }
}

async function cancel(name) {
  try {
    await ask(api('authorizations', state.signIns[name].id), { method: 'DELETE' });
    delete state.signIns[name];
    await draw();
  } catch (e) { complain(e); }
}

async function check(name) {
  state.checking.add(name);
  say(`${name} is being checked.`);
  draw();
  try {
    const r = await ask(api('accounts', name, 'check'), { method: 'POST', body: {} });
    say(`${name}: ${r.ok ? 'everything that was tried works' : r.text || 'something is wrong'}`);
    complain(null);
    location.hash = `#/accounts/${encodeURIComponent(name)}`;
  } catch (e) { complain(e); }
  state.checking.delete(name);
  draw();
}

function accountCard(a, heading = 'h3') {
  const c = a.credential || {};
  return el('li', { class: 'card' },
    el('header', {}, el(heading, {}, el('a', { href: `#/accounts/${encodeURIComponent(a.account)}`, 'data-key': `account-${a.account}`, class: 'entry' }, a.account)),
      a.mailbox !== a.account ? el('span', { class: 'mailbox' }, a.mailbox) : null, chip(a.state)),
    a.text ? el('p', { class: 'text' }, a.text) : null, step(a.next), a.warning ? el('p', { class: 'text warn' }, a.warning) : null,
    !a.next && c.text ? el('p', { class: 'text' }, c.text) : null, !a.next ? step(c.next) : null,
    signIn(a.account), credential(a), accountActions(a));
}

const SETUP = () => empty('No account yet.', 'An account is the mailbox at a provider that Frank sends through. Make the first one with:', el('pre', {}, 'sudo frank account add'));

async function accounts() {
  const { accounts: all = [] } = await ask(api('status'));
  return { title: 'Accounts', nodes: [all.length ? el('ul', { class: 'cards' }, all.map((a) => accountCard(a))) : SETUP()] };
}

function checkResult(r, at) {
  return el('section', { class: 'card' }, el('header', {}, el('h3', {}, 'Last check'), el('span', { class: 'faint' }, at ? ago(at) : ''), chip(r.ok ? 'ok' : 'fail')),
    r.text ? el('p', { class: 'text' }, r.text) : null, r.reply ? el('pre', {}, r.reply) : null, r.ok ? null : step(r.next),
    el('ol', { class: 'steps' }, (r.steps || []).map((s) => el('li', {}, chip(s.state), el('span', { class: 'name' }, s.name), el('span', {}, s.text)))),
    r.transcript ? details('Conversation', 'check-transcript', el('pre', { tabindex: '0' }, r.transcript)) : null);
}

function details(text, key, ...nodes) {
  return el('details', { 'data-key': key }, el('summary', { 'data-key': `${key}-summary` }, text), ...nodes);
}

async function account(name) {
  const [status, checks] = await Promise.all([ask(api('status')), ask(api('checks'))]);
  const a = (status.accounts || []).find((x) => x.account === name);
  const last = (checks.checks || []).find((c) => c.account === name);
  if (!a) return { title: name, back: 'accounts', nodes: [empty('There is no such account.', 'The configuration may have changed.')] };
  return { title: name, lead: a.mailbox, back: 'accounts', nodes: [el('ul', { class: 'cards' }, accountCard(a)),
    last ? el('div', { class: 'cards' }, checkResult(last.result, last.time)) : null] };
}

// ---- messages ----

const reason = (r) => r.text || r.reply || '';

function messageRow(m) {
  const r = (m.recipients || []).find((x) => x.text || x.reply) || (m.recipients || [])[0] || {};
  const others = (m.recipients || []).length - 1;
  return [el('a', { href: `#/queue/${encodeURIComponent(m.id)}`, 'data-key': `message-${m.id}`, class: 'id entry' }, m.id), chip(m.state), el('span', {}, m.sender || '<>', el('small', {}, `to ${r.recipient || ''}${others > 0 ? ` and ${others} more` : ''}`)),
    el('span', { class: 'wide' }, reason(r) || (m.subject || ''), r.next ? el('small', {}, prose(r.next)) : null), m.account || '', el('span', {}, time(m.time), el('small', {}, r.until && r.until > now() ? `again ${left(r.until)}` : ''))];
}

async function queue(id) {
  if (id) return message(id);
  const f = state.filters, query = new URLSearchParams(Object.entries(f).filter(([, v]) => v));
  const [got, all] = await Promise.all([ask(`${api('queue')}${query.size ? `?${query}` : ''}`), ask(api('status'))]);
  const messages = (got.messages || []).filter((m) => m.state !== 'captured');
  const select = (label, key, names) => el('label', {}, label, el('select', { 'data-key': `filter-${key}`, onchange: (e) => { f[key] = e.target.value; draw(); } },
    el('option', { value: '' }, 'All'), names.map((n) => el('option', { value: n, selected: n === f[key] }, n))));
  return { title: 'Queue', lead: messages.length ? `${plural(messages.length, 'message')} wait.`.replace('message wait', 'message waits') : '', nodes: [
    el('div', { class: 'filters' }, select('Account', 'account', (all.accounts || []).map((a) => a.account)), select('Service', 'service', (all.services || []).map((s) => s.service))),
    messages.length ? sheet(['Message', 'State', 'Sender and recipient', 'Reason', 'Account', 'Accepted'], messages.map(messageRow), 'Messages that wait')
      : empty('Nothing waits.', query.size ? 'No message fits these filters.' : 'What was accepted has been delivered. What cannot be delivered yet will appear here with the reason.')] };
}

async function message(id) {
  const m = await ask(api('queue', id));
  const path = (what) => api('queue', id, what), captured = m.state === 'captured', held = m.state === 'held';
  const over = ['delivered', 'bounced'].includes(m.state);
  return { title: m.subject || '(no subject)', back: captured ? 'captured' : 'queue', nodes: [
    el('section', { class: 'card single' }, el('header', {}, el('h3', { class: 'mono' }, m.id), chip(m.state)),
      facts([['Sender', m.sender || '<>'], ['Account', m.account], ['Service', m.service], ['Size', m.size && size(m.size)], ['Accepted', m.time && ago(m.time)], ['Given up', m.until && m.until > now() && left(m.until)], ['User', m.uid !== undefined && `uid ${m.uid}`]]),
      over ? null : el('div', { class: 'actions' }, captured ? button('Release to delivery…', 'release', () => release(m), 'primary') : button('Retry now', 'retry', doing(path('retry'), 'It is tried now.'), held ? '' : 'primary'),
        captured ? null : held ? button('End the hold', 'unhold', doing(path('release'), 'The hold has ended.'), 'primary') : button('Hold', 'hold', doing(path('hold'), 'The message is held.')),
        button('Delete…', 'delete', () => drop(m), 'danger'))),
    el('h3', {}, 'Recipients'),
    sheet(['Recipient', 'State', 'Reason', 'Attempts'], (m.recipients || []).map((r) => [r.recipient, chip(r.state), el('span', { class: 'wide' }, reason(r), r.text && r.reply ? el('small', { class: 'mono' }, r.reply) : null, step(r.next)), String(r.attempts ?? 0)]), 'Recipients'),
    el('h3', {}, 'Attempts'),
    (m.attempts || []).length ? el('ul', { class: 'cards' }, m.attempts.map((a, i) => el('li', { class: 'card' }, el('header', {}, el('h4', {}, time(a.time)), el('span', { class: 'faint' }, a.endpoint || '')),
      a.text ? el('p', { class: 'text' }, a.text) : null, facts([['TLS', a.tls], ['Mechanism', a.mechanism], ['Reply', a.reply]]),
      a.transcript ? details('Conversation', `transcript-${i}`, el('pre', { tabindex: '0' }, a.transcript)) : null))) : empty('Not tried yet.')] };
}

function leave(to) { location.hash = `#/${to}`; }

function drop(m) {
  confirm({ title: 'Delete this message?', text: `${m.subject || m.id}, from ${m.sender || '<>'}. Nobody is told, and it cannot be brought back.`, yes: 'Delete', act: async () => {
    await ask(api('queue', m.id, 'delete'), { method: 'POST', body: {} });
    say('The message is deleted.');
    leave(m.state === 'captured' ? 'captured' : 'queue');
  } });
}

function release(m) {
  const to = (m.recipients || []).map((r) => r.recipient).join(', ');
  confirm({ title: 'Release to delivery?', text: `It is sent for real, to ${to}.`, yes: 'Release', act: async () => {
    await perform(api('queue', m.id, 'release'), 'The message is released.');
  } });
}

async function captured() {
  const { messages = [] } = await ask(`${api('queue')}?captured=1`);
  return { title: 'Captured mail', lead: 'Mail of services in capture mode: kept to be looked at, and not sent.', nodes: [
    messages.length ? [el('p', { class: 'filters' }, el('a', { class: 'button', href: '/inbox', 'data-key': 'inbox' }, 'Read in the inbox')),
      sheet(['Message', 'State', 'Sender and recipient', 'Subject', 'Service', 'Accepted'], messages.map((m) => { const r = messageRow(m); r[3] = m.subject || '(no subject)'; r[4] = m.service || ''; return r; }), 'Captured messages')]
      : empty('Nothing is captured.', 'A service captures its mail with this line in its block of frank.conf:', el('pre', {}, 'mode = "capture"'))].flat() };
}

// ---- services, checks ----

async function services() {
  if (!state.me.administrator) {
    const { services: own = [] } = await ask(api('status'));
    return { title: 'Services', lead: 'Services that take your mail.', nodes: [own.length ? sheet(['Service', 'Mode', 'State'], own.map((s) => [s.service, s.mode || '', s.text || '']), 'Services') : empty('No service takes your mail.', 'An administrator adds you to one in frank.conf.')] };
  }
  const { services: all = [] } = await ask(api('services'));
  const list = (v) => (v && v.length ? v.join(', ') : '');
  const who = (s) => [list(s.users), s.groups && s.groups.length ? `groups ${list(s.groups)}` : '', s.socket ? 'its own socket' : '', s.password ? 'its password' : ''].filter(Boolean).join('; ');
  const limits = (s) => [s.rate_minute && `${s.rate_minute} a minute`, s.rate_day && `${s.rate_day} a day`, s.max_size && size(s.max_size)].filter(Boolean).join(', ');
  return { title: 'Services', lead: 'Who may send what, as whom, and through which account.', nodes: [all.length
    ? sheet(['Service', 'Mode', 'Callers', 'May send as', 'To', 'Accounts', 'Limits'], all.map((s) => [s.service, s.mode || 'deliver', who(s) || 'nobody', list(s.senders) || 'nobody', list(s.recipients) || 'anybody', list(s.accounts) || 'none', limits(s) || 'none']), 'Services')
    : empty('No service yet.', 'A service says who may send, as whom and through which account: a block in frank.conf.')] };
}

const ARRIVED = ['missing', 'good', 'weak', 'junk']; // in the order of the plot's colours

function deliveries(runs) {
  if (!runs.length) return empty('No message was followed to a mailbox yet.', 'This sends one, finds it there, and says how it was judged:', el('pre', {}, 'frank test deliver ACCOUNT --to SEED'));
  const series = ARRIVED.map((v) => ({ name: STATES[v][1], points: runs.filter((r) => r.verdict === v).map((r) => [r.time, v === 'missing' ? 0 : r.seconds]) }));
  return el('div', {}, el('div', { class: 'plots' }, plot({ title: 'Time to arrive', series, show: span, isClock: true, dots: true }, 'deliveries', 'Each message that was followed, and how it was judged')),
    sheet(['Account', 'Verdict', 'Seed', 'Folder', 'After', 'When'], runs.slice(-50).reverse().map((r) => [r.account, chip(r.verdict), r.seed, r.folder || 'none', r.verdict === 'missing' ? 'never' : span(r.seconds), time(r.time)]), 'Messages that were followed'));
}

async function checks() {
  const [{ checks: all = [] }, { accounts: names = [] }, { runs = [] }] = await Promise.all([ask(api('checks')), ask(api('status')), ask(api('deliveries'))]);
  const rows = names.map((a) => {
    const c = all.find((x) => x.account === a.account);
    return [el('a', { href: `#/accounts/${encodeURIComponent(a.account)}`, 'data-key': `account-${a.account}`, class: 'entry' }, a.account), c ? chip(c.result.ok ? 'ok' : 'fail') : 'not checked', c ? el('span', {}, c.result.text || (c.result.ok ? 'Everything that was tried works.' : ''), !c.result.ok && c.result.next ? el('small', {}, prose(c.result.next)) : null) : '',
      c ? time(c.time) : '', !state.me.administrator ? '' : state.checking.has(a.account) ? 'Checking…' : button('Check now', `check-${a.account}`, () => check(a.account))];
  });
  return { title: 'Checks', lead: 'A check signs in at the provider and tries each step, without sending a message.', nodes: [rows.length ? sheet(['Account', 'Result', 'Verdict', 'When', 'Action'], rows, 'Results of checks') : SETUP(),
    el('h3', {}, 'Deliverability'), deliveries(runs)] };
}

// ---- overview ----

const SVG = 'http://www.w3.org/2000/svg';
function draw_([name, attributes, ...children]) {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children.map((c) => (Array.isArray(c) ? draw_(c) : document.createTextNode(c))));
  return e;
}

function plot(options, key, about) {
  const { title, series, show = String } = options;
  const any = series.some((s) => s.points.length);
  const legend = series.length > 1 ? el('ul', { class: 'legend' }, series.map((s, i) => el('li', {},
    draw_(['svg', { class: 'plot', viewBox: '0 0 26 10', 'aria-hidden': 'true' }, options.dots ? ['g', { class: `series s${i}` }, mark(i, 13, 5)] : ['path', { class: `series s${i}`, d: 'M1 5H25' }]]), s.name))) : null;
  const times = [...new Set(series.flatMap((s) => s.points.map(([t]) => t)))].sort((a, b) => b - a).slice(0, 60);
  const at = (s, t) => { const p = s.points.find(([x]) => x === t); return p && p[1] !== null ? show(p[1]) : ''; };
  return el('section', { class: 'card' }, el('h4', {}, title), el('p', {}, about),
    any ? [draw_(lines({ ...options, width: innerWidth < 640 ? 340 : 560 })), legend, details('As a table', `table-${key}`, el('div', { class: 'figures-table', tabindex: '0', role: 'group', 'aria-label': `${title}, as a table` },
      table(['Time', ...series.map((s) => s.name)], times.map((t) => [moment(t * 1000), ...series.map((s) => at(s, t))]), title)))]
      : el('p', { class: 'empty' }, 'The first figures come within a minute.'));
}

function plots(f) {
  const samples = f.samples || [], of = (key) => samples.map((s) => [s.time, s[key] ?? null]);
  const perMinute = (v) => (v >= 10 ? Math.round(v) : Number(v.toFixed(1))).toString();
  const tokens = (f.tokens || []).filter((t) => t.since || t.until);
  return el('div', { class: 'plots' },
    plot({ title: 'Throughput', series: [['accepted', 'Accepted'], ['delivered', 'Delivered'], ['deferred', 'Deferred'], ['bounced', 'Bounced']].map(([k, name]) => ({ name, points: rates(of(k)) })), show: perMinute }, 'throughput', 'Messages a minute'),
    plot({ title: 'Queue age', series: [{ name: 'Oldest message', points: of('oldest') }], show: span, isClock: true }, 'age', 'How long the oldest message waits'),
    plot({ title: 'Queue length', series: [{ name: 'In the queue', points: of('queued') }], whole: true }, 'length', 'Messages'),
    tokens.length ? plot({ title: 'Token age', series: tokens.slice(0, 4).map((t) => ({ name: t.account, points: t.since ? [[t.since, 0], [now(), now() - t.since]] : [] })), show: span, isClock: true }, 'tokens',
      tokens.map((t) => `${t.account}: ${t.until ? `token ${t.until > now() ? 'ends' : 'ended'} ${left(t.until)}` : `given ${ago(t.since)}`}`).join('; ')) : null);
}

async function overview() {
  const [s, f] = await Promise.all([ask(api('status')), ask(api('figures'))]);
  const all = s.accounts || [], bad = all.filter((a) => a.state !== 'active'), last = (f.samples || []).at(-1) || {};
  const queued = last.queued ?? all.reduce((n, a) => n + (a.queued || 0), 0);
  const box = (href, name, value, more) => el('a', { href, 'data-key': `figure-${name}` }, el('span', { class: 'name' }, name), el('span', { class: 'value' }, value), el('span', { class: 'more' }, more));
  return { title: bad.length ? `${plural(bad.length, 'account')} ${bad.length === 1 ? 'needs' : 'need'} attention` : all.length ? 'Everything works' : 'Welcome', lead: `frankd on ${state.me.host}`, nodes: [
    el('div', { class: 'figures' }, box('#/accounts', 'Accounts', `${all.length - bad.length} of ${all.length}`, 'active'), box('#/queue', 'In the queue', queued.toLocaleString('en'), plural(queued, 'message').replace(/^\S+ /, '')),
      box('#/queue', 'Oldest message', last.oldest ? span(last.oldest) : '–', last.oldest ? 'waits since then' : 'nothing waits'), box('#/services', 'Services', String((s.services || []).length), 'take mail')),
    (s.problems || []).length ? el('ul', { class: 'cards' }, s.problems.map((p) => el('li', { class: 'card' }, el('header', {}, el('h3', {}, p.text), chip('warn')), step(p.next)))) : null,
    bad.length ? [el('h3', {}, 'Accounts'), el('ul', { class: 'cards' }, bad.map((a) => accountCard(a, 'h4')))] : all.length ? null : SETUP(),
    el('h3', {}, 'The last hour'), plots(f)].flat() };
}

// ---- the page ----

const VIEWS = { overview, accounts: (name) => (name ? account(name) : accounts()), queue, captured, services, checks };

function route() {
  const [section, name] = location.hash.replace(/^#\/?/, '').split('/');
  return { section: VIEWS[section] ? section : 'overview', name: name ? decodeURIComponent(name) : null };
}

function remember() {
  const key = document.activeElement?.closest?.('#main [data-key]')?.dataset.key;
  return { key, open: new Set([...document.querySelectorAll('#main details[open]')].map((d) => d.dataset.key)) };
}

function restore({ key, open }) {
  for (const d of document.querySelectorAll('#main details')) d.open = open.has(d.dataset.key);
  if (!key || document.querySelector('dialog[open]')) return;
  const same = [...document.querySelectorAll('#main [data-key]')].find((e) => e.dataset.key === key);
  (same || $('main')).focus({ preventScroll: true });
}

let shown = '';
async function draw() {
  const turn = ++state.turn, { section, name } = route(), where = location.hash;
  let view;
  try {
    view = await VIEWS[section](name);
  } catch (error) {
    view = { title: name || SECTIONS.find(([s]) => s === section)[1], back: name ? section : null, nodes: [empty(error.message, error.next || '')] };
  }
  if (turn !== state.turn) return;
  const kept = shown === where ? remember() : { key: null, open: new Set() };
  $('main').replaceChildren(...[view.back ? el('a', { class: 'crumb', href: `#/${view.back}`, 'data-key': 'back' }, `← ${SECTIONS.find(([s]) => s === view.back)[1]}`) : null,
    el('h2', {}, view.title), view.lead ? el('p', { class: 'lead' }, view.lead) : null, ...view.nodes].filter(Boolean));
  document.title = `${view.title} · Frank`;
  restore(kept);
  if (shown !== where) {
    if (shown !== '') { $('main').focus({ preventScroll: true }); scrollTo(0, 0); }
    shown = where;
  }
  sections(view.back || section);
}

function sections(current) {
  for (const a of $('sections').children) {
    if (a.dataset.section === current) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
}

let soon = null;
function drawSoon() {
  if (soon === null) soon = setTimeout(() => { soon = null; draw(); }, 200);
}

function onEvent(name, data) {
  if (name === 'authorization' && data) {
    if (state.signIns[data.account] || data.state !== 'waiting') state.signIns[data.account] = data;
    say(`${data.account}: ${data.state === 'done' ? 'signed in' : data.text || data.state}`);
  }
  drawSoon();
}

function move(by) {
  const all = [...document.querySelectorAll('#main .entry')];
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  all[Math.min(all.length - 1, Math.max(0, at + by))].focus();
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]') || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
  const { section, name } = route();
  const keys = { '?': () => $('help').showModal(), j: () => move(1), k: () => move(-1), Escape: () => name && leave(section) };
  SECTIONS.forEach(([s], i) => { keys[String(i + 1)] = () => leave(s); });
  if (!keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
}

async function begin() {
  $('sections').replaceChildren(...SECTIONS.map(([s, text]) => el('a', { href: `#/${s}`, 'data-section': s }, text)));
  try {
    state.me = await ask(api('session'));
  } catch (error) {
    $('main').replaceChildren(empty(error.message, 'The address that frank console prints opens this page, once.', el('pre', {}, 'frank console')));
    $('live').textContent = 'Not connected';
    return;
  }
  setGuard('X-Frank-Guard', state.me.token);
  $('who').textContent = `${state.me.user}, ${state.me.administrator ? 'administrator' : 'reads only'}`;
  $('help-open').addEventListener('click', () => $('help').showModal());
  addEventListener('hashchange', draw);
  addEventListener('keydown', onKey);
  matchMedia('(max-width: 640px)').addEventListener('change', drawSoon); // plots
  follow('/api/console/events', ['event', 'authorization', 'check', 'change'], onEvent, drawSoon);
  setInterval(() => { if (!document.hidden) drawSoon(); }, 15000); // ages, plots
  await draw();
}

begin();
