// Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
// browser.mjs: what the scripts here share: Chromium, and a conversation in lines of JSON with test_page.py. {check, good, info} is a
// result; {ask, ...} wants something done over there, and one line of JSON comes back. The first line has the options.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.env.GROUND_NODE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.PAGE_SHOTS;
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const options = JSON.parse((await answers.next()).value);

export function check(name, good, info = '') {
  console.log(JSON.stringify({ check: name, good: Boolean(good), info: good ? '' : String(typeof info === 'string' ? info : JSON.stringify(info)).slice(0, 1500) }));
  return Boolean(good);
}

export async function want(what, more = {}) {
  console.log(JSON.stringify({ ask: what, ...more }));
  const { value, done } = await answers.next();
  if (done) throw new Error('test_page.py has ended');
  return JSON.parse(value);
}

// Runs `test` with a page maker; what a page says on its console, throws, or asks of anyone but its server is kept in `faults`.
export async function run(test) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'page-'));
  const exe = process.env.CHROMIUM || ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((f) => fs.existsSync(f));
  const browser = await chromium.launch({ executablePath: exe, headless: true, env: { ...process.env, HOME: home },
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--no-proxy-server'] });
  const faults = [];
  const make = async (more = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ignoreHTTPSErrors: true, ...more });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    page.on('console', (m) => { if (m.type() === 'error') faults.push(m.text()); });
    page.on('pageerror', (e) => faults.push(String(e)));
    return page;
  };
  try {
    await test(make, faults);
  } catch (e) {
    check('the script ran to its end', false, String(e.stack));
  } finally {
    await browser.close();
    fs.rmSync(home, { recursive: true, force: true });
    process.stdin.destroy();
  }
}

// What axe-core finds, of what is serious; as evaluated code it needs nothing of the page's policy.
export async function accessible(page, where) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { iframes: false }));
  const bad = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  check(`axe-core: ${where}`, bad.length === 0, bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`).join('; '));
}

// Screenshots at both widths and in both colours; in each axe-core looks too, and nothing may be wider than the window.
export async function gallery(page, name) {
  const before = page.viewportSize();
  for (const [width, height] of [[1280, 800], [390, 844]])
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      if (shots) await page.screenshot({ path: path.join(shots, `${name}-${width}-${colorScheme}.png`) });
      await accessible(page, `${name}, ${width} pixels, ${colorScheme}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(`${name} fits into ${width} pixels`, wide <= 0, wide);
    }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
}

export async function until(f, ms = 10000) {
  const end = Date.now() + ms;
  do {
    if (await f().catch(() => false)) return true;
    await new Promise((r) => setTimeout(r, 50));
  } while (Date.now() < end);
  return false;
}

export const text = (page, selector) => page.locator(selector).innerText();
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.closest('[data-id]')?.dataset.id || document.activeElement.dataset?.key || document.activeElement.textContent.slice(0, 40));
