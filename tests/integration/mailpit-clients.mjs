// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// Mailpit's clients, unchanged, against frank-sandbox: mailpit-clients.mjs NPM-FOLDER API SUBMISSION-PORT CA ADDRESS, the access token on standard input.
// Prints a line of JSON for each check: {"name", "good", "info"}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';

const [npm, api, port, ca, address] = process.argv.slice(2);
const token = readFileSync(0, 'utf8').trim();
const require = createRequire(npm + '/mailpit/package.json');
const check = (name, good, info) => console.log(JSON.stringify({ name, good: !!good, info: info === undefined ? '' : JSON.stringify(info).slice(0, 800) }));
const same = (name, seen, wanted) => check(name, isDeepStrictEqual(seen, wanted), { seen, wanted });

async function send(options) { // nodemailer with OAuth2, as an application has it
  const { createTransport } = createRequire(npm + '/package.json')('nodemailer');
  const t = createTransport({ host: 'localhost', port: Number(port), requireTLS: true, tls: { ca: readFileSync(ca) }, auth: { type: 'OAuth2', user: address, accessToken: token } });
  try { return await t.sendMail({ from: address, to: 'jane@example.test', ...options }); } finally { t.close(); }
}

async function mailpitApi() {
  const { MailpitClient } = require('mailpit-api');
  const c = new MailpitClient(api);
  await c.deleteMessages();
  same('mailpit-api: empty at first', (await c.listMessages()).total, 0);
  const waiting = c.waitForMessage({ query: 'subject:"Sent by nodemailer"' }, { timeout: 20000, interval: 50 });
  await send({ subject: 'Sent by nodemailer', text: 'the text', html: '<p>the <b>html</b> <img src="cid:logo"></p>', cc: 'Carl <carl@example.test>',
    attachments: [{ filename: 'büro.txt', content: 'attached' }, { filename: 'logo.png', content: Buffer.from('89504e470d0a1a0a', 'hex'), cid: 'logo' }] });
  const m = await waiting;
  check('mailpit-api: waitForMessage finds what nodemailer sent with OAuth2', m.Subject === 'Sent by nodemailer' && m.Text.trim() === 'the text' && m.HTML.includes('<b>html</b>'), m);
  same('mailpit-api: its addresses', [m.From, m.To, m.Cc], [{ Name: '', Address: address }, [{ Name: '', Address: 'jane@example.test' }], [{ Name: 'Carl', Address: 'carl@example.test' }]]);
  same('mailpit-api: its account', m.Username, address);
  same('mailpit-api: its attachments', [m.Attachments.map(a => a.FileName), m.Inline.map(a => a.ContentID)], [['büro.txt'], ['logo']]);
  const blob = await c.getMessageAttachment(m.ID, m.Attachments[0].PartID);
  same('mailpit-api: getMessageAttachment', [blob.type, await blob.text()], ['text/plain', 'attached']);
  check('mailpit-api: getMessageSource', (await c.getMessageSource(m.ID)).includes('Subject: Sent by nodemailer'));
  same('mailpit-api: getMessageHeaders', (await c.getMessageHeaders()).Subject, ['Sent by nodemailer']);
  check('mailpit-api: renderMessageHTML links the inline part', (await c.renderMessageHTML(m.ID)).includes(`/api/v1/message/${m.ID}/part/${m.Inline[0].PartID}`), await c.renderMessageHTML(m.ID));
  same('mailpit-api: renderMessageText', (await c.renderMessageText()).trim(), 'the text');
  const sent = await c.sendMessage({ From: { Email: 'api@example.test', Name: 'A P I' }, To: [{ Email: 'bob@example.test' }], Bcc: ['hidden@example.test'], Subject: 'By the API', Text: 'hello', Tags: ['one', 'two'] });
  const list = await c.listMessages(0, 1);
  same('mailpit-api: sendMessage, listMessages newest first', [list.messages[0].ID, list.messages.length, list.total, list.unread, list.tags], [sent.ID, 1, 2, 1, ['one', 'two']]);
  same('mailpit-api: a second page', (await c.listMessages(1, 1)).messages[0].ID, m.ID);
  for (const [query, count] of [['from:api@example.test', 1], ['to:bob', 1], ['bcc:hidden', 1], ['subject:nodemailer', 1], ['"the text" -subject:API', 1], ['"the text" -subject:nodemailer', 0], ['html has:attachment', 1], ['is:unread', 1], ['-is:unread', 1], ['tag:one', 1], ['before:2020-01-01', 0], ['after:2020-01-01', 2], ['larger:100', 2], ['smaller:10', 0], ['addressed:example.test', 2]])
    same(`mailpit-api: searchMessages ${query}`, (await c.searchMessages({ query })).messages_count, count);
  await c.setReadStatus({ IDs: [sent.ID], Read: true });
  same('mailpit-api: setReadStatus of one', (await c.listMessages()).unread, 0);
  await c.setReadStatus({ Search: 'subject:nodemailer', Read: false });
  same('mailpit-api: setReadStatus by a search', (await c.searchMessages({ query: 'is:unread' })).messages[0].ID, m.ID);
  await c.setTags({ IDs: [m.ID], Tags: ['three'] });
  same('mailpit-api: setTags, getTags', (await c.getTags()).sort(), ['one', 'three', 'two']);
  await c.renameTag('three', 'four/five'); await c.deleteTag('one');
  same('mailpit-api: renameTag, deleteTag', (await c.getTags()).sort(), ['four/five', 'two']);
  const info = await c.getInfo();
  check('mailpit-api: getInfo', info.Messages === 2 && info.RuntimeStats.SMTPAccepted >= 2 && info.Tags.two === 1, info);
  check('mailpit-api: getConfiguration', (await c.getConfiguration()).ChaosEnabled === true);
  same('mailpit-api: setChaosTriggers', (await c.setChaosTriggers({ Sender: { ErrorCode: 452, Probability: 100 } })).Sender, { ErrorCode: 452, Probability: 100 });
  const refused = await send({ subject: 'refused' }).then(() => null, e => e.responseCode);
  same('mailpit-api: and they hold', refused, 452);
  same('mailpit-api: getChaosTriggers', (await c.getChaosTriggers()).Sender.Probability, 100);
  await c.setChaosTriggers({});
  const exact = c.waitForMessages({ query: 'subject:counted', count: 3, exact: true }, { timeout: 20000, interval: 50 });
  for (let n = 0; n < 3; n++) await send({ subject: 'counted ' + n, text: 'x' });
  same('mailpit-api: waitForMessages', (await exact).messages_count, 3);
  await c.deleteMessagesBySearch({ query: 'subject:counted' });
  same('mailpit-api: deleteMessagesBySearch', (await c.listMessages()).total, 2);
  await c.deleteMessages({ IDs: [m.ID] });
  same('mailpit-api: deleteMessages of one', (await c.listMessages()).messages.map(x => x.ID), [sent.ID]);
  const gone = await c.getMessageSummary(m.ID).then(() => null, e => e.message.includes('404'));
  check('mailpit-api: what is gone is 404', gone === true);
  const released = await c.releaseMessage(sent.ID, { To: ['bob@example.test'] }).then(() => null, e => e.message);
  check('mailpit-api: releaseMessage says that nothing is configured', released?.includes('400') && released.includes('--release-command'), released);
}

async function cypress() { // its commands want two globals of Cypress, which chain as promises do
  globalThis.Cypress = { expose: () => api, config: () => 20000 };
  globalThis.cy = {
    env: () => Promise.resolve({}), wrap: v => Promise.resolve(v), wait: ms => new Promise(r => setTimeout(r, ms)),
    request: async ({ method, url, qs, body }) => {
      const r = await fetch(url + (qs ? '?' + new URLSearchParams(qs) : ''), { method, ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
      const text = await r.text();
      if (!r.ok) throw new Error(`${r.status} ${method} ${url}: ${text}`);
      return { status: r.status, body: r.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text };
    },
  };
  const source = readFileSync(npm + '/mailpit/node_modules/cypress-mailpit/dist/src/MailpitCommands.js');
  const { MailpitCommands } = await import('data:text/javascript;base64,' + source.toString('base64'));
  const c = new MailpitCommands();
  await c.mailpitDeleteAllEmails();
  await c.mailpitSendMail();
  const arrived = c.mailpitHasEmailsBySubject('"for cypress"', 0, 50, { interval: 50 });
  await send({ subject: 'for cypress', text: 'plain', html: '<i>rich</i>', attachments: [{ filename: 'a.pdf', content: 'x' }] });
  check('cypress-mailpit: mailpitHasEmailsBySubject waits', (await arrived).messages_count === 1);
  same('cypress-mailpit: mailpitGetAllMails', (await c.mailpitGetAllMails()).total, 2);
  const m = await c.mailpitGetMail();
  same('cypress-mailpit: mailpitGetMail and what it says', [await c.mailpitGetSubject(m), await c.mailpitGetFromAddress(m), await c.mailpitGetRecipientAddress(m), await c.mailpitGetAttachments(m)],
    ['for cypress', address, ['jane@example.test'], ['a.pdf']]);
  same('cypress-mailpit: bodies', [(await c.mailpitGetMailHTMlBody(m)).trim(), (await c.mailpitGetMailTextBody(m)).trim()], ['<i>rich</i>', 'plain']);
  const first = (await c.mailpitGetEmailsBySubject('"Hello Mailpit"')).messages[0];
  same('cypress-mailpit: what mailpitSendMail sent', [first.From.Address, first.To[0].Address, first.Cc[0].Address, first.Bcc[0].Address, first.ReplyTo[0].Address], ['from@example.com', 'jane@example.com', 'cc@example.com', 'bcc@example.com', 'replyto@example.com']);
  same('cypress-mailpit: mailpitGetEmailsByTo', (await c.mailpitGetEmailsByTo('jane@example.test')).messages_count, 1);
  await c.mailpitSetAllEmailStatusAsUnRead();
  same('cypress-mailpit: all unread', (await c.mailpitGetAllMails()).unread, 2);
  await c.mailpitSetStatusAsRead([first]);
  same('cypress-mailpit: one read', (await c.mailpitSearchEmails('is:read')).messages_count, 1);
  await c.mailpitSetAllEmailStatusAsRead();
  same('cypress-mailpit: all read', (await c.mailpitGetAllMails()).unread, 0);
  await c.mailpitDeleteEmailsBySearch('subject:cypress');
  await c.mailpitNotHasEmailsBySubject('cypress', 0, 50, { interval: 50 });
  await c.mailpitNotHasEmailsByTo('jane@example.test', 0, 50, { interval: 50 });
  same('cypress-mailpit: mailpitDeleteEmailsBySearch', (await c.mailpitGetAllMails()).total, 1);
}

async function description() {
  const SwaggerParser = require('@apidevtools/swagger-parser').default ?? require('@apidevtools/swagger-parser');
  const text = await (await fetch(api + '/api/v1/openapi.json')).json();
  const valid = await SwaggerParser.validate(structuredClone(text)).then(() => true, e => String(e));
  check('the OpenAPI description is valid', valid === true, valid);
  const missing = [];
  for (const [path, methods] of Object.entries(text.paths))
    for (const method of Object.keys(methods)) {
      if (path === '/api/events' || method !== 'get') continue;
      const r = await fetch(api + path.replace('{ID}', 'latest').replace('{PartID}', '1').replace('{Tag}', 'x') + (path === '/api/v1/wait' ? '?timeout=0' : ''));
      if (r.status === 405 || (r.status === 404 && (await r.text()).includes('nothing at this address'))) missing.push(method + ' ' + path);
    }
  same('and what it names is there', missing, []);
}

for (const part of [mailpitApi, cypress, description])
  await part().catch(e => check(part.name + ' ran to its end', false, String(e.stack)));
