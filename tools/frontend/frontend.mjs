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
import fs from 'node:fs';
import { SCREEN, close, draw, failure, launch, open, pause, run } from './chromium.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await launch();

async function work(page, job) {
  const errors = [];
  const listen = error => errors.push(String(error).slice(0, 300));
  page.on('pageerror', listen);
  await draw(page, job.vue);
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
  if (job.queue) await run(page);
  if (job.measure) Object.assign(result, await page.evaluate(measure));
  if (job.screenshot) {
    await page.setViewport(await page.evaluate(show));
    await pause(500);
    await page.screenshot({ path: job.screenshot });
    await page.setViewport(SCREEN);
  }
  page.off('pageerror', listen);
  return { ...result, errors };
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
