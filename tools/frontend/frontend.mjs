// The real ComfyUI frontend in a headless browser: one job in, one JSON line out.
//
//   node frontend.mjs BASE_URL < job.json
//
// {"action": "open", "workflow": {...}, "screenshot": "a.png"}  -> {missing, errors, prompt, workflow}
// {"action": "build", "description": {...}, "screenshot": ...}  -> the same, for a graph made from a description
//
// LATENT_STEREO_CHROMIUM names another Chromium or Chrome to use.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages lie where the set-up put them, not beside this file.
const require = createRequire(process.env.LATENT_STEREO_NODE_MODULES ?? import.meta.url);
const load = async name => (await import(pathToFileURL(require.resolve(name)).href)).default;

const job = JSON.parse(fs.readFileSync(0, 'utf8'));
const puppeteer = await load('puppeteer-core');
let executablePath = process.env.LATENT_STEREO_CHROMIUM;
let args = ['--disable-gpu', '--no-sandbox'];
if (!executablePath) {
  const chromium = await load('@sparticuz/chromium');
  executablePath = await chromium.executablePath();
  args = [...chromium.args, ...args];
}
const browser = await puppeteer.launch({
  executablePath,
  headless: 'shell',
  args: [...args, '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});

async function session() {
  const page = await browser.newPage();
  await page.setViewport({ width: job.width ?? 1600, height: job.height ?? 1000 });
  const errors = [];
  page.on('pageerror', error => errors.push(String(error).slice(0, 300)));
  await page.goto(process.argv[2], { waitUntil: 'domcontentloaded', timeout: 120000 });
  const ready = () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 500;
  await page.waitForFunction(ready, { timeout: 120000 });
  await settle(page);
  const result = await page.evaluate(job.action === 'build' ? build : open, job.description ?? job.workflow);
  const expected = Object.keys((job.description ?? job.workflow).nodes).length;
  if (result.workflow.nodes.length !== expected)
    throw new Error(`the graph has ${result.workflow.nodes.length} nodes, not ${expected}: the page replaced it`);
  if (job.queue) await run(page);
  if (job.screenshot) {
    await page.evaluate(fit);
    await new Promise(resolve => setTimeout(resolve, 1500));
    await page.screenshot({ path: job.screenshot });
  }
  return { ...result, errors };
}

// The page loads a workflow of its own some time after it looks ready, over whatever is there: let it finish.
async function settle(page) {
  const count = () => page.evaluate(() => window.app.graph.nodes.length);
  for (let still = 0, waited = 0, last = -1; still < 4 && waited < 40; waited += 1) {
    const now = await count();
    still = now === last && (now > 0 || waited > 20) ? still + 1 : 0;
    last = now;
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

// Runs in the page: load a workflow as a user does who drops the file on the window.
async function open(workflow) {
  await window.app.loadGraphData(workflow, true, false);
  await new Promise(resolve => setTimeout(resolve, 500));
  const types = window.LiteGraph.registered_node_types;
  const missing = window.app.graph.nodes.filter(node => !types[node.type] && !node.subgraph).map(node => node.type);
  const { workflow: saved, output: prompt } = await window.app.graphToPrompt();
  return { missing, prompt, workflow: saved };
}

// Runs in the page: make a graph from {nodes: {key: {...}}, groups: [...]} and save it.
async function build(description) {
  const graph = window.app.graph;
  graph.clear();
  const made = {};
  const missing = [];
  for (const [key, spec] of Object.entries(description.nodes)) {
    const node = window.LiteGraph.createNode(spec.type);
    if (!node) {
      missing.push(spec.type);
      continue;
    }
    graph.add(node);
    made[key] = node;
    for (const [name, value] of Object.entries(spec.widgets ?? {})) {
      const widget = node.widgets?.find(candidate => candidate.name === name);
      if (!widget) throw new Error(`${spec.type} has no widget ${name}, only ${node.widgets?.map(known => known.name)}`);
      widget.value = value;
      widget.callback?.(value);
    }
    Object.assign(node.properties, spec.properties ?? {});
    node.pos = spec.pos;
    const [width, height] = node.computeSize();
    node.setSize([spec.size?.[0] ?? Math.max(width, node.size[0]), spec.size?.[1] ?? Math.max(height, node.size[1])]);
    if (spec.color) [node.color, node.bgcolor] = spec.color;
  }
  for (const [key, spec] of Object.entries(description.nodes)) {
    for (const [input, [from, output]] of Object.entries(spec.inputs ?? {})) {
      const slot = made[from].outputs.findIndex(candidate => candidate.name === output);
      const target = made[key].inputs.findIndex(candidate => candidate.name === input);
      if (slot < 0 || target < 0) throw new Error(`no link from ${from}.${output} to ${key}.${input}`);
      made[from].connect(slot, made[key], target);
    }
  }
  for (const spec of description.groups ?? []) {
    const group = new window.LiteGraph.LGraphGroup(spec.title);
    group.color = spec.color;
    group.pos = spec.box.slice(0, 2);
    group.size = spec.box.slice(2);
    graph.add(group);
  }
  await new Promise(resolve => setTimeout(resolve, 500));
  const { workflow, output: prompt } = await window.app.graphToPrompt();
  return { missing, prompt, workflow };
}

// Runs in the page: show the whole graph.
function fit() {
  const { graph, canvas } = window.app;
  const boxes = [...graph.nodes, ...graph.groups].map(item => item.boundingRect ?? item._bounding);
  const left = Math.min(...boxes.map(box => box[0])), top = Math.min(...boxes.map(box => box[1]));
  const right = Math.max(...boxes.map(box => box[0] + box[2])), bottom = Math.max(...boxes.map(box => box[1] + box[3]));
  const scale = Math.min(window.innerWidth / (right - left + 160), window.innerHeight / (bottom - top + 220));
  canvas.ds.scale = scale;
  canvas.ds.offset = [-left + 100, -top + 120];
  canvas.setDirty(true, true);
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
  await new Promise(resolve => setTimeout(resolve, 2000));
}

let status = 0;
try {
  process.stdout.write(JSON.stringify(await session()) + '\n');
} catch (error) {
  process.stdout.write(JSON.stringify({ failed: String(error.stack ?? error) }) + '\n');
  status = 1;
}
// Chromium has been seen not to close: never wait for it longer than this.
await Promise.race([browser.close().catch(() => {}), new Promise(resolve => setTimeout(resolve, 5000))]);
process.exit(status);
