// A headless Chromium and a page in it with ComfyUI's frontend, ready to be worked with.
//
// LATENT_STEREO_CHROMIUM names another Chromium or Chrome to use.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const SCREEN = { width: 1920, height: 1080 };
export const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// The packages lie where the set-up put them, not beside this file.
export const require = createRequire(process.env.LATENT_STEREO_NODE_MODULES ?? import.meta.url);
const packaged = async name => (await import(pathToFileURL(require.resolve(name)).href)).default;

export async function launch() {
  const puppeteer = await packaged('puppeteer-core');
  let executablePath = process.env.LATENT_STEREO_CHROMIUM;
  // WebGL without a graphics card.
  let args = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--no-sandbox'];
  if (!executablePath) {
    const chromium = await packaged('@sparticuz/chromium');
    executablePath = await chromium.executablePath();
    args = [...chromium.args, ...args];
  }
  return puppeteer.launch({
    executablePath,
    headless: 'shell',
    args: [...args, '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
  });
}

export async function open(browser, url) {
  const page = await browser.newPage();
  await page.setViewport(SCREEN);
  await page.goto(url, { waitUntil: 'domcontentloaded', timeout: 120000 });
  const ready = () => window.app?.graph && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 500;
  await page.waitForFunction(ready, { timeout: 120000 });
  await settle(page);
  return page;
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

// Choose the renderer: "Nodes 2.0", or the classic canvas.
export function draw(page, vue) {
  return page.evaluate(async vue => {
    const { setting } = window.app.extensionManager;
    if (Boolean(setting.get('Comfy.VueNodes.Enabled')) !== vue) await setting.set('Comfy.VueNodes.Enabled', vue);
  }, Boolean(vue));
}

// Press Run and wait until the queue is empty again.
export async function run(page) {
  await page.evaluate(async () => {
    await window.app.queuePrompt(0, 1);
  });
  await page.waitForFunction(
    async () => {
      // A busy machine may drop a connection: that says nothing of the queue.
      const queue = await fetch('/queue').then(answer => answer.json()).catch(() => null);
      return queue !== null && queue.queue_running.length === 0 && queue.queue_pending.length === 0;
    },
    { timeout: 300000, polling: 500 },
  );
  await pause(500); // until the results are drawn
}

// Chromium has been seen not to close: never wait for it longer than this.
export function close(browser) {
  return Promise.race([browser.close().catch(() => {}), pause(5000)]);
}

// A failure in full: what the browser's driver says of a page seldom tells why.
export function failure(error) {
  const chain = [error, error?.cause].filter(Boolean);
  return { failed: chain.map(each => String(each.stack ?? each)).join('\nbecause of ') };
}
