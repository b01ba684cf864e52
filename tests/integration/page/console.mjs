// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// console.mjs: the page of `frank console`: as an administrator, then as a user who is none.
import { accessible, check, focused, gallery, options, run, text, until, want } from './browser.mjs';

const main = (page) => text(page, '#main');
const has = (page, ...words) => until(async () => { const t = await main(page); return words.every((w) => t.includes(w)); }, 20000);
const go = async (page, key, title) => {
  await page.keyboard.press(key);
  return until(async () => (await text(page, '#main > h2')).includes(title));
};

async function administrator(make, faults) {
  const page = await make();
  await page.goto(options.link);
  check('the one-time address leads to the page, and is not in its address', await until(async () => page.url().endsWith('/') || page.url().includes('/#')) && !page.url().includes('enter'), page.url());
  await page.waitForSelector('#live.on');
  await page.evaluate(() => { window.stays = true; });
  check('it says who this is', (await text(page, '#who')).includes('administrator'), await text(page, '#who'));
  check('the overview names what needs a person', await has(page, 'gone', 'Needs authorization', 'Next step'), await main(page));

  // an account's verdict
  check('1 to 6 are the sections', await go(page, '2', 'Accounts'));
  await page.keyboard.press('j');
  check('j goes to the first account', (await focused(page)).startsWith('account-'), await focused(page));
  await gallery(page, 'console-accounts');
  await page.locator('[data-key="account-refused"]').focus();
  await page.keyboard.press('Enter');
  check('an account says why it sends nothing, and the next step', await has(page, 'refused the user name or password', 'Next step', 'frank secret set refused'), await main(page));
  await gallery(page, 'console-refused');
  await page.keyboard.press('Escape');
  check('Escape goes back', await until(async () => page.url().endsWith('#/accounts')), page.url());

  // authorize
  await until(async () => await page.locator('[data-key="authorize-gone"]').count() === 1);
  const [popup] = await Promise.all([page.context().waitForEvent('page'), page.locator('[data-key="authorize-gone"]').click()]);
  await popup.waitForSelector('input[name=password]');
  check('while it goes on, the page says so', await has(page, 'Waiting for the sign-in'), await main(page));
  await popup.fill('input[name=login]', options.login);
  await popup.fill('input[name=password]', options.password);
  await popup.locator('button[name=signin]').click();
  await popup.locator('button[name=allow]').click();
  check('Authorize: the account is active, without a reload', await until(async () => (await text(page, 'li.card:has([data-key="account-gone"])')).includes('Active'), 20000), await main(page));
  check('and it says that somebody signed in', (await text(page, 'li.card:has([data-key="account-gone"])')).includes('Signed in'), await main(page));
  await popup.close();

  // a check
  await page.locator('[data-key="check-gone"]').click();
  check('a check gives its steps', await has(page, 'Last check', 'Works'), await main(page));
  await gallery(page, 'console-check');
  await page.keyboard.press('6');
  check('and stands among the checks', await has(page, 'Checks', 'Works', 'not checked'), await main(page));
  check('deliverability: a table and a plot with marks for each verdict', await has(page, 'Deliverability', 'Junk', 'weakly', 'never') && await page.locator('svg.plot[role=img] g.series path').count() === 6, await main(page));
  await page.locator('#main h3', { hasText: 'Deliverability' }).scrollIntoViewIfNeeded();
  await gallery(page, 'console-checks');

  // the queue: live, reasons, transcript, retry, hold, delete
  await go(page, '3', 'Queue');
  check('the queue has the message, with its reason', await has(page, options.waiting, 'refused the user name'), await main(page));
  await page.locator('#main a.entry').first().focus();
  const before = await focused(page);
  await want('send', { account: 'refused', subject: 'Another one' });
  check('a message that comes is there without a reload', await until(async () => await page.locator('#main a.entry').count() === 2, 20000), await main(page));
  check('the focus stays', await focused(page) === before, [before, await focused(page)]);
  await gallery(page, 'console-queue');
  await page.locator(`[data-key="message-${options.waiting}"]`).click();
  check('a message: recipients, reason, attempts', await has(page, 'Recipients', 'Attempts', 'someone@example.org'), await main(page));
  const details = page.locator('details summary').first();
  if (await details.count()) {
    await details.focus();
    await page.keyboard.press('Enter');
    check('the transcript', (await text(page, 'details pre')).includes('AUTH'), await text(page, 'details pre'));
    await page.evaluate(() => dispatchEvent(new HashChangeEvent('hashchange'))); // drawn anew
    await page.waitForTimeout(500);
    check('what was opened stays open, and the focus on it', await page.locator('details[open]').count() === 1 && (await focused(page)).endsWith('-summary'), await focused(page));
  } else check('the transcript', false, await main(page));
  await gallery(page, 'console-message');
  await page.locator('[data-key="hold"]').click();
  check('hold', await has(page, 'Held', 'End the hold') && (await want('state', { id: options.waiting })).state === 'held', await want('state', { id: options.waiting }));
  await page.locator('[data-key="unhold"]').click();
  check('end the hold', await until(async () => (await want('state', { id: options.waiting })).state !== 'held'), await main(page));
  await page.locator('[data-key="retry"]').click();
  check('retry', await until(async () => (await text(page, '#done')).includes('tried')) && !(await page.locator('#notice').isVisible()), await text(page, '#done'));
  await page.locator('[data-key="delete"]').click();
  check('delete asks first', await page.locator('#ask').isVisible() && await focused(page) === 'ask-no');
  await accessible(page, 'the question');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
// one that is being tried just now is not deleted: the question stays, with the reason, and is answered again
  const deleted = async () => {
    if (await page.locator('#ask').isVisible() && await page.locator('#ask-yes').isEnabled()) await page.locator('#ask-yes').press('Enter', { timeout: 1000 }).catch(() => {});
    return page.url().endsWith('#/queue') && !(await main(page)).includes(options.waiting);
  };
  check('and deletes', await until(deleted, 30000) && (await want('state', { id: options.waiting })).state !== 'queued', await main(page));

  // captured mail
  await go(page, '4', 'Captured');
  check('captured mail is a list', await has(page, 'Welcome aboard'), await main(page));
  await gallery(page, 'console-captured');
  await page.locator('[data-key="inbox"]').click();
  await page.waitForSelector('#live.on');
  check('and is read in the inbox page', await until(async () => (await text(page, '#messages')).includes('Welcome aboard'), 20000), await text(page, '#messages'));
  await page.locator('#messages a').first().click();
  check('with its text', await until(async () => (await text(page, '#panel')).includes('Hello Welcome aboard')), await text(page, '#panel'));
  await gallery(page, 'console-inbox');
  await page.locator('#console').click();
  await page.locator('#main a.entry').first().click();
  await page.locator('[data-key="release"]').click();
  await page.locator('#ask-yes').click();
  await page.waitForSelector('#ask', { state: 'hidden' });
  check('a captured message is released, and arrives', (await want('arrived', { subject: 'Welcome aboard' })).arrived, await main(page));

  await go(page, '5', 'Services');
  check('services: who may what', await has(page, 'staging', 'capture', options.mailbox), await main(page));
  await gallery(page, 'console-services');
  await go(page, '1', '');
  check('plots, each with its table', await until(async () => await page.locator('svg.plot[role=img]').count() >= 2, 30000), await page.locator('svg.plot').count());
  const plot = page.locator('section.card', { hasText: 'Queue length' });
  await plot.locator('summary').click();
  check('a plot has title, description and table', (await plot.locator('svg title').textContent()) === 'Queue length' && (await plot.locator('svg desc').textContent()).includes('now') && await plot.locator('tbody tr').count() > 0);
  await gallery(page, 'console-overview');
  await page.keyboard.press('?');
  check('? shows the keys', await page.locator('#help').isVisible());
  await page.keyboard.press('Escape');
  check('no error on the console', faults.length === 0, faults.join(' | '));
  await page.context().close();
}

async function reader(make) {
  const page = await make();
  await page.goto(options.reader);
  await page.waitForFunction(() => document.querySelector('#who').textContent !== '');
  check('a user who is no administrator: it says so', (await text(page, '#who')).includes('reads only'), await text(page, '#who'));
  await go(page, '2', 'Accounts');
  check('sees the accounts that serve them', await has(page, 'gone') && !(await main(page)).includes('refused'), await main(page));
  check('and is offered nothing that changes them', await page.locator('#main button').count() === 0, await page.locator('#main button').allInnerTexts());
  await gallery(page, 'console-reader');
  for (const key of ['1', '3', '4', '5', '6']) {
    await page.keyboard.press(key);
    await page.waitForTimeout(600);
    check(`section ${key} shows no error`, !/not permitted|denied|refused by/i.test(await main(page)), await main(page));
  }
}

run(async (make, faults) => {
  await administrator(make, faults);
  if (options.reader) await reader(make);
});
