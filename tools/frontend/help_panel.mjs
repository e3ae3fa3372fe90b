// Nodes' help pages in the editor's panel, in a headless browser.
//
//   node help_panel.mjs BASE_URL < jobs.json
//
// [{"node": "Stereo_...", "vue": false, "screenshot": "a.png"}] -> {panel, pictures, tables}, one line each
//
// "panel" is the panel's width, "pictures" are [natural width, drawn width], "tables" the widths that tables take.
import fs from 'node:fs';
import { close, draw, failure, launch, open } from './chromium.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await launch();

async function work(page, job) {
  await draw(page, job.vue);
  await page.evaluate(type => {
    const { app, LiteGraph } = window;
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    node.pos = [100, 200];
    app.graph.add(node);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [300, 100];
    app.canvas.selectNode(node);
    app.canvas.setDirty(true, true);
  }, job.node);
  // Without a click where the panel is open already: the first node's page stays until then.
  const shown = () => document.querySelector('.node-help-content h1');
  if (!(await page.evaluate(shown))) await (await page.waitForSelector('[data-testid="info-button"]')).click();
  const loaded = name => {
    const panel = document.querySelector('.node-help-content');
    const pictures = [...(panel?.querySelectorAll('img') ?? [])];
    return panel?.querySelector('h1')?.textContent === name && pictures.length && pictures.every(it => it.complete);
  };
  const name = await page.evaluate(type => window.LiteGraph.registered_node_types[type].title, job.node);
  await page.waitForFunction(loaded, { timeout: 30000, polling: 200 }, name);
  if (job.screenshot) await page.screenshot({ path: job.screenshot });
  return page.evaluate(() => {
    const panel = document.querySelector('.node-help-content');
    const all = selector => [...panel.querySelectorAll(selector)];
    return {
      panel: panel.clientWidth,
      pictures: all('img').map(picture => [picture.naturalWidth, picture.clientWidth]),
      tables: all('table').map(table => table.scrollWidth),
    };
  });
}

let status = 0;
try {
  const page = await open(browser, process.argv[2]);
  for (const job of jobs) process.stdout.write(JSON.stringify(await work(page, job)) + '\n');
} catch (error) {
  process.stdout.write(JSON.stringify(failure(error)) + '\n');
  status = 1;
}
await close(browser);
process.exit(status);
