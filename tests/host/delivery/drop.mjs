// Files dropped on the real frontend, in one page, one JSON line out for each job.
//
//   node drop.mjs BASE_URL < jobs.json
//
// {"prompt": {...}} opens a prompt in API form and presses Run -> {prompt, workflow}: what the editor makes of it.
// {"file": "a.png"} empties the graph and drops the file -> {type, prompt, workflow, drawn}: the file's type as the
// browser has it, what is in the graph then, and whether an <img> draws the file from the server's /view.
import fs from 'node:fs';
import { close, failure, launch, open, pause, run } from '../../../tools/frontend/chromium.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await launch();

const graph = async () => {
  const { workflow, output } = await window.app.graphToPrompt();
  return { workflow, prompt: output };
};

async function work(page, job) {
  if (job.prompt) {
    await page.evaluate(prompt => window.app.loadApiJson(prompt, 'made.json'), job.prompt);
    await pause(500);
    await run(page);
    if (job.screenshot) await page.screenshot({ path: job.screenshot });
    return page.evaluate(graph);
  }
  await page.evaluate(() => window.app.graph.clear());
  // Only a chosen file has the type that the browser gives a dropped one.
  const input = await page.evaluateHandle(() => document.body.appendChild(Object.assign(document.createElement('input'), { type: 'file' })));
  await input.uploadFile(job.file);
  const type = await page.evaluate(input => {
    const [file] = input.files, dropped = new DataTransfer();
    input.remove();
    dropped.items.add(file);
    const place = { clientX: 900, clientY: 600, bubbles: true, cancelable: true, dataTransfer: dropped };
    for (const kind of ['dragenter', 'dragover', 'drop']) window.app.canvas.canvas.dispatchEvent(new DragEvent(kind, place));
    return file.type;
  }, input);
  await pause(1500);
  const drawn = await page.evaluate(async url => {
    const image = new Image();
    image.src = url;
    return image.decode().then(() => [image.naturalWidth, image.naturalHeight], () => null);
  }, job.url);
  return { type, drawn, ...(await page.evaluate(graph)) };
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
