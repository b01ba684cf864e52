// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// inbox.mjs: the inbox page of frank-sandbox.
import { check, focused, gallery, options, run, text, until, want } from './browser.mjs';

const rows = (page) => page.locator('#messages li');
const subjects = (page) => page.locator('#messages .subject').allInnerTexts();

run(async (make, faults) => {
  const page = await make();
  await page.goto(options.address);
  await page.waitForSelector('#live.on');
  check('an empty inbox says how to send', await until(async () => (await text(page, '#empty')).includes(`swaks --server localhost:${options.port}`)), await text(page, '#empty'));
  await gallery(page, 'inbox-empty');

  // without a reload: a mark in the window would be gone
  await page.evaluate(() => { window.stays = true; });
  await want('send', { to: 'mira@example.org', subject: 'First of all', how: 'XOAUTH2' });
  check('a message appears by itself', await until(async () => (await subjects(page)).join() === 'First of all'), await subjects(page));
  check('it is counted as unread', (await page.title()).startsWith('(1)') && (await text(page, '#count')).includes('1 unread'), await page.title());
  check('unread is said in words too', (await text(page, '#messages li')).includes('Unread.'));

  await want('send', { to: 'ops@example.org', subject: 'Second one', text: 'See https://example.test/a?b=1. <b>no markup</b>' });
  await want('send', { to: 'ops@example.org', subject: 'Invoice with parts', html: '<p>Total <b>480 €</b> <img src="cid:logo@x" id="logo"></p>', attachment: 'invoice ü.pdf', image: 'logo@x' });
  await until(async () => await rows(page).count() === 3);

  // the focus stays where it was when rows arrive
  await page.locator('#messages li').nth(0).locator('a').focus();
  const held = await focused(page);
  await want('send', { to: 'ops@example.org', subject: 'While reading' });
  await until(async () => await rows(page).count() === 4);
  check('the focus stays on its row when another arrives', await focused(page) === held && await page.evaluate(() => document.activeElement.tagName) === 'A', [held, await focused(page)]);
  check('nothing was loaded anew', await page.evaluate(() => window.stays === true));

  // keyboard alone
  const open = async (subject) => {
    await page.locator('#messages a', { hasText: subject }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction((s) => !document.querySelector('#message').hidden && document.querySelector('#subject').textContent === s && document.querySelector('#panel').childElementCount > 0, subject);
  };
  await page.keyboard.press('k');
  check('k goes up', (await page.evaluate(() => document.activeElement.textContent)).includes('While reading'));
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#message:not([hidden])');
  check('Enter opens, and the message has the focus', await focused(page) === 'reading' && await text(page, '#subject') === 'Invoice with parts', [await focused(page), await text(page, '#subject')]);
  check('reading marks it read', await until(async () => !(await text(page, '#messages li >> nth=1')).includes('Unread')));

  const frame = page.frameLocator('#panel iframe');
  check('HTML is shown', (await frame.locator('body').innerText()).includes('Total 480 €'));
  check('an inline image is shown, by its cid', await until(async () => await frame.locator('#logo').evaluate((i) => i.complete && i.naturalWidth > 0)));
  const box = await page.locator('#panel iframe').getAttribute('sandbox');
  check('the frame has neither scripts nor our origin', !/allow-scripts|allow-same-origin|allow-top/.test(box), box);
  await gallery(page, 'inbox-html');

  await page.keyboard.press('5');
  await page.waitForSelector('#panel .table');
  const save = page.locator('#panel a[download]').first();
  check('an attachment has its name', (await text(page, '#panel')).includes('invoice ü.pdf'), await text(page, '#panel'));
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  check('and can be saved', download.suggestedFilename() === 'invoice ü.pdf', download.suggestedFilename());
  await page.keyboard.press('3');
  check('headers', await until(async () => (await text(page, '#panel')).includes('Return-Path')), await text(page, '#panel'));
  await page.keyboard.press('4');
  check('source', await until(async () => (await text(page, '#panel')).includes('Content-Type: multipart/')), await text(page, '#panel'));

  await page.keyboard.press('Escape');
  check('Escape goes back to the row', await until(async () => (await page.evaluate(() => document.activeElement.textContent)).includes('Invoice with parts')), await focused(page));

  await open('Second one');
  await page.keyboard.press('2');
  await page.waitForSelector('#panel a');
  check('text is text, and addresses are links', await page.locator('#panel a').getAttribute('href') === 'https://example.test/a?b=1' && (await text(page, '#panel')).includes('<b>no markup</b>'), await text(page, '#panel'));
  await gallery(page, 'inbox-text');

  await open('First of all');
  await page.keyboard.press('6');
  check('the session: TLS, mechanism, account, token, conversation', await until(async () => { const t = await text(page, '#panel'); return /TLSv1\.[23]/.test(t) && t.includes('XOAUTH2 as billing@example.test') && t.includes('scopes') && t.includes('MAIL FROM:<billing@example.test>') || t.includes('mail FROM:<billing@example.test>'); }), await text(page, '#panel'));
  check('and no token in it', !(await text(page, '#panel')).includes(options.token_start), '');
  await gallery(page, 'inbox-session');

  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  check('? shows the keys', await page.locator('#help').isVisible());
  await gallery(page, 'inbox-help');
  await page.keyboard.press('Escape');

  // search, also for what is still to come
  await page.keyboard.press('/');
  check('/ goes to the search', await focused(page) === 'query');
  await page.keyboard.type('subject:invoice has:attachment');
  check('search', await until(async () => (await subjects(page)).join() === 'Invoice with parts'), await subjects(page));
  await want('send', { to: 'ops@example.org', subject: 'Does not match' });
  await want('send', { to: 'ops@example.org', subject: 'Invoice later', attachment: 'x.pdf' });
  check('what arrives and matches joins the search', await until(async () => (await subjects(page)).join() === 'Invoice later,Invoice with parts'), await subjects(page));
  check('the search still has the focus', await focused(page) === 'query');
  await page.fill('#query', '');
  await until(async () => await rows(page).count() === 6);
  await page.selectOption('#mailbox', 'mira@example.org');
  check('one mailbox alone', await until(async () => (await subjects(page)).join() === 'First of all'), await subjects(page));
  await page.selectOption('#mailbox', '');
  await until(async () => await rows(page).count() === 6);

  // delete, by keys
  await open('Does not match');
  await page.keyboard.press('u');
  check('u marks unread', await until(async () => (await page.locator('#messages li', { hasText: 'Does not match' }).innerText()).includes('Unread')));
  await open('Does not match');
  await page.keyboard.press('Delete');
  check('a question comes before', await page.locator('#ask').isVisible() && await focused(page) === 'ask-no');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  check('Delete deletes', await until(async () => !(await subjects(page)).includes('Does not match')), await subjects(page));
  check('and the focus goes to its neighbour', await until(async () => page.evaluate(() => document.activeElement.tagName === 'A')), await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200)));

  // what others do is seen
  await want('remove', { subject: 'Second one' });
  check('what another client deletes goes', await until(async () => !(await subjects(page)).includes('Second one')), await subjects(page));
  await gallery(page, 'inbox-list');
  check('no error on the console', faults.length === 0, faults.join('\n'));

  await hostile(page, faults);
});

const BLOCKED = /Content.Security.Policy|sandboxed|Blocked|Refused|ERR_BLOCKED|Unsafe attempt to load/i;

// Mail that tries everything. `ask` of a listener on loopback counts who asks it.
async function hostile(page, faults) {
  await want('hostile');
  check('hostile mail arrives', await until(async () => (await subjects(page)).filter((s) => s.startsWith('Hostile')).length === options.hostile), await subjects(page));
  for (const n of (await subjects(page)).filter((s) => s.startsWith('Hostile'))) {
    await page.locator('#messages a', { hasText: n }).click();
    await page.waitForFunction((s) => !document.querySelector('#message').hidden && document.querySelector('#subject').textContent === s && document.querySelector('#panel').childElementCount > 0, n);
    await page.keyboard.press('1');
    const frame = page.frameLocator('#panel iframe');
    await frame.locator('body').waitFor();
    await page.waitForTimeout(700);
    check(`${n}: its text is shown`, (await frame.locator('body').innerText()).includes('visible'), await frame.locator('body').innerText());
    check(`${n}: we are where we were`, page.url().includes('#/message/') && await page.title() !== 'owned' && await page.evaluate(() => window.owned === undefined), page.url());
    for (const tab of ['2', '3', '4', '5', '6']) { await page.keyboard.press(tab); await page.waitForTimeout(50); }
    await page.keyboard.press('1');
    // what a person might press in it
    await frame.locator('button, input[type=submit]').first().click({ timeout: 2000 }).catch(() => {});
    await page.waitForTimeout(200);
  }
  check('hostile mail asked nobody', (await want('asked')).count === 0, (await want('asked')).paths);
  const page2 = page.context().pages().length;
  check('and opened nothing', page2 === 1, page2);
  // in a tab of its own it is kept in as well
  const id = page.url().split('/').pop();
  await page.goto(`${options.address}/view/${id}.html`);
  await page.waitForTimeout(700);
  check('nor when its document is opened by itself', (await want('asked')).count === 0 && await page.title() !== 'owned' && page.url().endsWith('.html'), page.url());
  check('what was blocked is all that the console says', faults.every((f) => BLOCKED.test(f)), faults.filter((f) => !BLOCKED.test(f)).join(' | '));
  await page.goto(`${options.address}/#/message/${options.remote_id || id}`);
  // asked for, images load: the same listener counts
  await page.locator('#panel .note button').click();
  check('images load when they are asked for', await until(async () => (await want('asked')).count > 0), '');
  check('and nothing but images', (await want('asked')).paths.every((p) => p.startsWith('/img')), (await want('asked')).paths);
}
