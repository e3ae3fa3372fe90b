// The real ComfyUI frontend in a headless browser: workflows in, one JSON line out for each, in the same order.
//
//   node frontend.mjs BASE_URL < jobs.json
//
// [{"name": "a", "workflow": {...}, "screenshot": "a.png", "queue": true}, ...]
//   -> {missing, errors, prompt, workflow}, ...
//
// The answer holds the workflow as the frontend saves it and its API form; both are taken before anything runs.
// "queue" presses Run and waits until it is done. "view" names a picture of what a user sees who opens the file.
// "app" names one of its app form. "vue" draws with "Nodes 2.0" instead of the classic canvas. "measure" adds {sizes: {id: [width, height]},
// slots: {id: {inputs: [[x, y], ...], outputs}}}, the slots relative to the node. The first failure ends it all: {failed}.
//
// LATENT_STEREO_CHROMIUM names another Chromium or Chrome to use.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages lie where the set-up put them, not beside this file.
const require = createRequire(process.env.LATENT_STEREO_NODE_MODULES ?? import.meta.url);
const packaged = async name => (await import(pathToFileURL(require.resolve(name)).href)).default;

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const puppeteer = await packaged('puppeteer-core');
let executablePath = process.env.LATENT_STEREO_CHROMIUM;
let args = ['--disable-gpu', '--no-sandbox'];
if (!executablePath) {
  const chromium = await packaged('@sparticuz/chromium');
  executablePath = await chromium.executablePath();
  args = [...chromium.args, ...args];
}
const browser = await puppeteer.launch({
  executablePath,
  headless: 'shell',
  args: [...args, '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});

const SCREEN = { width: 1920, height: 1080 };

async function open() {
  const page = await browser.newPage();
  await page.setViewport(SCREEN);
  await page.goto(process.argv[2], { waitUntil: 'domcontentloaded', timeout: 120000 });
  const ready = () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 500;
  await page.waitForFunction(ready, { timeout: 120000 });
  await settle(page);
  return page;
}

async function work(page, job) {
  const errors = [];
  const listen = error => errors.push(String(error).slice(0, 300));
  page.on('pageerror', listen);
  await page.evaluate(draw, Boolean(job.vue));
  const result = await page.evaluate(load, job);
  const [found, expected] = [result.workflow.nodes.length, job.workflow.nodes.length];
  if (found !== expected) throw new Error(`the graph has ${found} nodes, not ${expected}: the page replaced it`);
  if (job.view) {
    await pause(1000);
    await page.screenshot({ path: job.view });
  }
  if (job.app) {
    await page.evaluate(toggleApp);
    await pause(1500);
    await page.screenshot({ path: job.app });
    await page.evaluate(toggleApp);
  }
  if (job.measure) Object.assign(result, await page.evaluate(measure));
  if (job.queue) await run(page);
  if (job.screenshot) {
    await page.setViewport(await page.evaluate(show));
    await pause(500);
    await page.screenshot({ path: job.screenshot });
    await page.setViewport(SCREEN);
  }
  page.off('pageerror', listen);
  return { ...result, errors };
}

// The page loads a workflow of its own some time after it looks ready, over whatever is there: let it finish.
async function settle(page) {
  const count = () => page.evaluate(() => window.app.graph.nodes.length);
  for (let still = 0, waited = 0, last = -1; still < 4 && waited < 40; waited += 1) {
    const now = await count();
    still = now === last && (now > 0 || waited > 20) ? still + 1 : 0;
    last = now;
    await pause(500);
  }
}

// Runs in the page: load a workflow as a user does who drops the file on the window, and save it.
async function load({ name, workflow }) {
  await window.app.loadGraphData(workflow, true, true, name);
  await new Promise(resolve => setTimeout(resolve, 500));
  const types = window.LiteGraph.registered_node_types;
  const missing = window.app.graph.nodes.filter(node => !types[node.type] && !node.subgraph).map(node => node.type);
  const { workflow: saved, output: prompt } = await window.app.graphToPrompt();
  return { missing, prompt, workflow: saved };
}

// Runs in the page: choose the renderer.
async function draw(vue) {
  const { setting } = window.app.extensionManager;
  if (Boolean(setting.get('Comfy.VueNodes.Enabled')) !== vue) await setting.set('Comfy.VueNodes.Enabled', vue);
}

// Runs in the page: from the graph to its app form, or back.
function toggleApp() {
  return window.app.extensionManager.command.execute('Comfy.ToggleLinear');
}

// Runs in the page: how much room the nodes take, and where their slots are.
function measure() {
  const { graph, canvas } = window.app;
  const sizes = {}, slots = {};
  for (const node of graph.nodes) {
    const element = document.querySelector(`[data-node-id="${node.id}"]`);
    const box = element?.getBoundingClientRect();
    const title = window.LiteGraph.NODE_TITLE_HEIGHT;
    // The title counts in neither: in the classic canvas it stands above the node's place.
    sizes[node.id] = box
      ? [box.width / canvas.ds.scale, box.height / canvas.ds.scale - title]
      : [...node.computeSize()];
    const place = ([x, y]) => [x - node.pos[0], y - node.pos[1]];
    slots[node.id] = {
      inputs: (node.inputs ?? []).map((_, index) => place(node.getInputPos(index))),
      outputs: (node.outputs ?? []).map((_, index) => place(node.getOutputPos(index))),
    };
  }
  return { sizes, slots };
}

// Runs in the page: put the whole graph below and beside the page's bars, at a scale at which its text is still drawn.
// Returns the size of the window that it needs.
function show() {
  const { graph, canvas } = window.app;
  const boxes = [...graph.nodes, ...graph.groups, ...graph.reroutes.values()].map(item => item.boundingRect ?? item._bounding);
  const left = Math.min(...boxes.map(box => box[0])), top = Math.min(...boxes.map(box => box[1]));
  const right = Math.max(...boxes.map(box => box[0] + box[2])), bottom = Math.max(...boxes.map(box => box[1] + box[3]));
  const [scale, beside, below] = [0.75, 80, 220];
  canvas.ds.scale = scale;
  canvas.ds.offset = [beside / scale - left, below / scale - top];
  canvas.setDirty(true, true);
  return { width: Math.ceil((right - left) * scale) + 2 * beside, height: Math.ceil((bottom - top) * scale) + below + 40 };
}

// Press Run and wait until the queue is empty again.
async function run(page) {
  await page.evaluate(async () => {
    await window.app.queuePrompt(0, 1);
  });
  await page.waitForFunction(
    async () => {
      const queue = await (await fetch('/queue')).json();
      return queue.queue_running.length === 0 && queue.queue_pending.length === 0;
    },
    { timeout: 300000, polling: 500 },
  );
  await pause(500); // until the results are drawn
}

let status = 0;
try {
  const page = await open();
  for (const job of jobs) process.stdout.write(JSON.stringify(await work(page, job)) + '\n');
} catch (error) {
  process.stdout.write(JSON.stringify({ failed: String(error.stack ?? error) }) + '\n');
  status = 1;
}
// Chromium has been seen not to close: never wait for it longer than this.
await Promise.race([browser.close().catch(() => {}), pause(5000)]);
process.exit(status);
