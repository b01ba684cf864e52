// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// logic.test.mjs: what the pages compute, without a document.
import test from 'node:test';
import assert from 'node:assert/strict';
import * as f from '../../../web/format.js';
import * as p from '../../../web/plot.js';

test('sizes', () => {
  assert.deepEqual([0, 999, 1000, 9940, 9960, 123456, 999400, 999600, 5e6, 2e9, 5e12].map(f.size), ['0 B', '999 B', '1.0 kB', '9.9 kB', '10 kB', '123 kB', '999 kB', '1.0 MB', '5.0 MB', '2.0 GB', '5000 GB']);
});

test('moments', () => {
  const now = new Date(2026, 10, 30, 15, 0);
  assert.equal(f.when(new Date(2026, 10, 30, 9, 4), now, 'en-GB'), '09:04');
  assert.equal(f.when(new Date(2026, 10, 29, 9, 4), now, 'en-GB'), '29 Nov');
  assert.equal(f.when(new Date(2025, 10, 29), now, 'en-GB'), '29 Nov 2025');
  assert.equal(f.when('no date', now), '');
  assert.equal(f.moment('no date'), '');
});

test('spans', () => {
  assert.deepEqual([-3, 0, 59.4, 60, 90, 3599, 3600, 5400, 86399, 86400, 200000].map(f.span), ['0 s', '0 s', '59 s', '1 min', '1 min 30 s', '59 min', '1 h', '1 h 30 min', '23 h 59 min', '1 d', '2 d 7 h']);
});

test('people', () => {
  assert.equal(f.person(null), '');
  assert.equal(f.person({ Name: 'Mira', Address: 'm@example.org' }), 'Mira <m@example.org>');
  assert.equal(f.person({ Name: 'm@example.org', Address: 'm@example.org' }), 'm@example.org');
  assert.equal(f.people([{ Name: '', Address: 'a@b' }, { Name: 'C', Address: 'c@d' }]), 'a@b, C <c@d>');
  assert.equal(f.people(null), '');
});

test('plurals', () => assert.deepEqual([f.plural(0, 'message'), f.plural(1, 'message'), f.plural(1234, 'match', 'matches')], ['0 messages', '1 message', '1,234 matches']));

test('searches', () => {
  assert.equal(f.search('', ' subject:x  '), 'subject:x');
  assert.equal(f.search('a@b', ''), 'mailbox:"a@b"');
  assert.equal(f.search('a"@b', 'is:unread'), 'mailbox:"a@b" is:unread');
});

test('addresses in text', () => {
  assert.deepEqual(f.links('See https://a.example/b?c=1. Or (http://d.example).'), [{ text: 'See ' }, { text: 'https://a.example/b?c=1', href: 'https://a.example/b?c=1' }, { text: '. Or (' },
    { text: 'http://d.example', href: 'http://d.example' }, { text: ').' }]);
  assert.deepEqual(f.links('javascript:alert(1) xhttps://a'), [{ text: 'javascript:alert(1) xhttps://a' }]);
  assert.deepEqual(f.links(''), []);
});

test('commands in text', () => assert.deepEqual([f.pieces('Run `frank x`.'), f.pieces('a ` b')], [['Run ', 'frank x', '.'], ['a ` b']]));

test('replies', () => assert.deepEqual(['250 ok', '550-5.1.1 no', '354 go', '150 x', 'EHLO 250 x', '2500'].map(f.reply), [2, 5, 3, 0, 0, 0]));

test('a conversation, by who speaks', () => {
  const l = (from, text, at) => ({ from, text, at });
  assert.deepEqual(f.turns([l('server', '250-a', 0), l('server', '250 b', 0.1), l('client', 'MAIL', 0.2)]), [{ from: 'server', at: 0, lines: ['250-a', '250 b'] }, { from: 'client', at: 0.2, lines: ['MAIL'] }]);
});

test('round values of an axis', () => {
  assert.deepEqual(p.ticks(0), [0, 1]);
  assert.deepEqual(p.ticks(4), [0, 1, 2, 3, 4]);
  assert.deepEqual(p.ticks(7.3), [0, 2, 4, 6, 8]);
  for (const top of [0.001, 0.3, 1, 9.99, 42, 1e3, 123456, 7e9]) {
    const t = p.ticks(top);
    assert.ok(t.length >= 2 && t.length <= 6 && t.at(-1) >= top * 0.999999 && t.at(-2) < top, `${top}: ${t}`);
  }
  assert.deepEqual(p.ticks(2, 5, true), [0, 1, 2]);
  assert.deepEqual(p.clockTicks(100), [0, 30, 60, 90, 120]);
  assert.deepEqual(p.clockTicks(0), [0, 1]);
  for (const top of [1, 59, 60, 3601, 86400, 3e6, 1e9]) assert.ok(p.clockTicks(top).at(-1) >= top && p.clockTicks(top).length <= 6, `${top}: ${p.clockTicks(top)}`);
});

test('moments of an axis', () => {
  const from = Math.floor(new Date(2026, 10, 30, 9, 7).getTime() / 1000);
  const t = p.timeTicks(from, from + 3600);
  assert.ok(t.length >= 3 && t.length <= 6 && t.every((s) => s >= from && s <= from + 3600 && new Date(s * 1000).getMinutes() % 5 === 0), String(t));
  assert.deepEqual(p.timeTicks(from + 1, from + 1), []);
});

test('rates', () => {
  assert.deepEqual(p.rates([[0, 0], [60, 30], [120, 30]]), [[60, 30], [120, 0]]);
  assert.deepEqual(p.rates([[0, 100], [30, 5]]), [[30, 10]], 'a counter that began anew');
  assert.deepEqual(p.rates([[0, null], [10, 5], [10, 6], [20, 7]]), [[20, 6]]);
});

test('a plot', () => {
  const series = [{ name: 'One', points: [[0, 1], [60, 3], [120, null], [180, 2], [240, 2]] }, { name: 'Two', points: [] }];
  const [name, attributes, ...children] = p.lines({ title: 'Things', series });
  assert.equal(name, 'svg');
  assert.equal(attributes.role, 'img');
  assert.deepEqual(children.slice(0, 2), [['title', {}, 'Things'], ['desc', {}, 'One: now 2, between 1 and 3; Two: nothing yet']]);
  const [one, two] = children.filter(([n]) => n === 'path');
  assert.equal(one[1].d.match(/M/g).length, 2, 'a gap where nothing is known');
  assert.equal(two[1].d, '');
  assert.doesNotMatch(JSON.stringify(children), /NaN|Infinity|undefined/);
  assert.doesNotMatch(JSON.stringify(p.lines({ title: 'None', series: [{ name: 'x', points: [] }] })), /NaN|Infinity|undefined/);
  assert.doesNotMatch(JSON.stringify(p.lines({ title: 'One', series: [{ name: 'x', points: [[5, 0]] }], dots: true })), /NaN|Infinity|undefined/);
});
