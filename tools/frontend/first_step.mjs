// The README's first step in a headless browser, as its reader does it, with mouse and keyboard alone.
//
//   node first_step.mjs BASE_URL < jobs.json
//
// [{"pack": "latent-stereo", "template": "01 ...", "vue": false, "screenshot": "a.png"}] -> {scale, files, errors}, one line each
//
// "scale" is at which the template opened, "files" are what the run saved, as the server's history has them. "screenshot" names a picture of the page after it.
import fs from 'node:fs';
import { close, draw, failure, launch, open, pause } from './chromium.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await launch();

// Click the first visible element whose own text, or label for screen readers, begins with a text.
async function press(page, text, within = 'body') {
  const find = (text, within) => {
    const begins = node => node.nodeType === Node.TEXT_NODE && node.textContent.trim().startsWith(text);
    const elements = [...document.querySelectorAll(`${within} *`)];
    const labelled = element => element.getAttribute('aria-label')?.startsWith(text);
    return elements.find(it => (labelled(it) || [...it.childNodes].some(begins)) && it.checkVisibility());
  };
  const options = { timeout: 120000, polling: 200 };
  const handle = await page.waitForFunction(find, options, text, within).catch(() => {
    throw new Error(`Nothing on the page begins with "${text}".`);
  });
  await handle.asElement().scrollIntoView();
  await handle.asElement().click();
}

async function work(page, job) {
  const errors = [];
  const listen = error => errors.push(String(error).slice(0, 300));
  page.on('pageerror', listen);
  await draw(page, job.vue);
  const before = await page.evaluate(async () => Object.keys(await (await fetch('/history')).json()));
  await press(page, 'Templates');
  await press(page, job.pack, '[role=dialog]');
  await press(page, job.template, '[role=dialog]');
  await page.waitForFunction(() => !document.querySelector('[role=dialog]'), { timeout: 120000 });
  await pause(1000);
  const scale = await page.evaluate(() => window.app.canvas.ds.scale);
  await press(page, 'Run');
  const done = async before => {
    const entries = Object.entries(await (await fetch('/history')).json());
    const made = entries.filter(([id, entry]) => !before.includes(id) && entry.status?.completed);
    return made.length ? made[0][1].outputs : null;
  };
  const outputs = await (await page.waitForFunction(done, { timeout: 120000, polling: 500 }, before)).jsonValue();
  await pause(1500); // until the results are drawn
  if (job.screenshot) await page.screenshot({ path: job.screenshot });
  page.off('pageerror', listen);
  const files = Object.values(outputs).flatMap(output => output.images ?? []);
  return { scale, files: files.filter(file => file.type === 'output'), errors };
}

let status = 0;
try {
  for (const job of jobs) {
    const page = await open(browser, process.argv[2]);
    process.stdout.write(JSON.stringify(await work(page, job)) + '\n');
    await page.close();
  }
} catch (error) {
  process.stdout.write(JSON.stringify(failure(error)) + '\n');
  status = 1;
}
await close(browser);
process.exit(status);
