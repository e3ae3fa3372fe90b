// Stereo Preview in the real frontend: one step after another in one page, one JSON line out for each.
//
//   node viewer.mjs BASE_URL < jobs.json
//
// [{"step": "modes", "vue": false, ...}, ...]: the name of a function below and what it takes; {failed} ends it all.
import fs from 'node:fs';
import { close, draw, failure, launch, open, pause, require, run } from '../../../tools/frontend/chromium.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await launch();
const errors = [];

// Runs in the page before anything else: what the steps do there.
function tools() {
  const until = async (what, seconds = 20) => {
    for (const end = performance.now() + 1000 * seconds; performance.now() < end;) {
      const found = await what();
      if (found) return found;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    throw new Error(`waited in vain: ${what}`);
  };
  const repaints = async count => {
    for (let i = 0; i < count; i++) await new Promise(requestAnimationFrame);
  };
  // A node whose output is set as the host sets it after a run.
  const show = async (items, place = [90, 120]) => {
    const node = LiteGraph.createNode('Stereo_StereoPreview');
    node.pos = place;
    app.graph.add(node);
    app.nodeOutputs[node.id] = { stereo_views: items };
    await until(() => node.stereoViewer.media && node.stereoViewer.drawn);
    return node;
  };
  const fresh = async () => {
    app.graph.clear();
    await repaints(3); // a node of the same id in the same repaint would be taken for the old one
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [0, 0];
  };
  // Make the picture exactly this large on the screen.
  const size = async (node, width, height) => {
    const { stage, canvas } = node.stereoViewer.parts;
    stage.style.cssText = `flex: 0 0 ${height}px; width: ${width}px`;
    await until(() => canvas.width === width && canvas.height === height);
  };
  const picture = async node => {
    await repaints(2);
    return node.stereoViewer.canvas.toDataURL('image/png');
  };
  const choose = (node, mode) => {
    const { mode: select } = node.stereoViewer.parts;
    select.value = mode;
    select.dispatchEvent(new Event('change'));
  };
  const slide = (slider, value) => {
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
  };
  const point = (node, x, y, keys = {}, kind = 'click') => {
    const box = node.stereoViewer.canvas.getBoundingClientRect();
    const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true };
    node.stereoViewer.canvas.dispatchEvent(new PointerEvent(kind, { ...place, ...keys }));
  };
  window.steps = { until, repaints, show, fresh, size, picture, choose, slide, point };
}

// Run a function in the page. What it promises is kept there: Chromium has been seen to collect it while it was awaited.
function inPage(page, work, ...given) {
  return page.evaluate((source, given) => (window.working = eval(`(${source})`)(...given)), work.toString(), given);
}

const steps = {
  // Every mode at the size of the views; both eyes of the wiggle; the views moved by a whole number of pixels.
  async modes(page, { vue, item, modes, shift }) {
    await draw(page, vue);
    return inPage(page, async ({ item, modes, shift }) => {
      const { fresh, show, size, choose, slide, picture, point } = window.steps;
      await fresh();
      const node = await show([item]);
      const { parts } = node.stereoViewer;
      const before = JSON.stringify((await app.graphToPrompt()).output);
      await size(node, item.width, item.height);
      parts.play.click();
      const seen = { still: await picture(node) };
      point(node, 0.5, 0.5);
      seen.other = await picture(node);
      for (const mode of modes) {
        choose(node, mode);
        await size(node, item.width * (['full_sbs', 'cross_eyed'].includes(mode) ? 2 : 1), item.height);
        seen[mode] = await picture(node);
      }
      await size(node, item.width, item.height);
      choose(node, 'left');
      slide(parts.shift, 100 * shift);
      seen.moved = await picture(node);
      choose(node, 'right');
      seen.moved_right = await picture(node);
      choose(node, 'parallax');
      slide(parts.shift, 0);
      for (const [name, x] of [['at_left', 0], ['between', 0.5]]) {
        point(node, x, 0.5, {}, 'pointermove');
        seen[name] = await picture(node);
      }
      const { workflow, output } = await app.graphToPrompt();
      const { widgets_values, properties } = workflow.nodes[0];
      return { seen, widgets_values, mode: properties.stereo_mode, prompt_kept: JSON.stringify(output) === before };
    }, { item, modes, shift });
  },

  // What is said of files that are no longer there.
  async gone(page, { item }) {
    return inPage(page, async item => {
      const { fresh, until } = window.steps;
      await fresh();
      const node = LiteGraph.createNode('Stereo_StereoPreview');
      app.graph.add(node);
      const gone = { filename: 'gone.png', type: 'input' };
      app.nodeOutputs[node.id] = { stereo_views: [{ ...item, left: gone }] };
      const { note } = node.stereoViewer.parts;
      return { said: await until(() => note.textContent) };
    }, item);
  },

  // How many eyes the wiggle shows.
  async motion(page, { item, reduced }) {
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: reduced ? 'reduce' : 'no-preference' }]);
    const eyes = await inPage(page, async (item, seconds) => {
      const { fresh, show, repaints } = window.steps;
      await fresh();
      const node = await show([item]);
      const seen = new Set();
      for (const end = performance.now() + seconds * 1000; performance.now() < end && seen.size < 2; await repaints(1)) seen.add(node.stereoViewer.canvas.toDataURL());
      return seen.size;
    }, item, reduced ? 1 : 20);
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'no-preference' }]);
    return { eyes };
  },

  // A run through the nodes, then a click on the picture: what it writes, and when it does not.
  async click(page, { vue, places, screenshot }) {
    await draw(page, vue);
    await inPage(page, async () => {
      await window.steps.fresh();
      const add = (type, ...pos) => {
        const node = LiteGraph.createNode(type);
        node.pos = pos;
        app.graph.add(node);
        return node;
      };
      const link = (from, slot, to, name) => from.connect(slot, to, to.inputs.findIndex(input => input.name === name));
      const scene = add('Stereo_ExampleScene', 90, 120), strength = add('Stereo_StereoStrength', 90, 260);
      const shift = add('Stereo_ImageStereoShift', 400, 120), view = add('Stereo_StereoPreview', 720, 120);
      strength.widgets.find(one => one.name === 'convergence').value = 0.5; // the editor may keep those of an id
      link(scene, 0, shift, 'image');
      link(scene, 1, strength, 'depth');
      link(strength, 0, shift, 'depth');
      for (const slot of [0, 1]) link(shift, slot, view, ['left', 'right'][slot]);
      Object.assign(window, { strength, view, link, add });
    });
    await run(page);
    const result = await inPage(page, async () => {
      const { until, size } = window.steps;
      const { strength, view, link } = window;
      const { parts } = view.stereoViewer;
      const parallax = [...parts.mode.options].find(one => one.value === 'parallax');
      // At first it may still show what the editor keeps of an earlier node with this id, which had depth.
      await until(() => view.stereoViewer.drawn && parallax.disabled);
      const without_depth = { parallax: parallax.disabled };
      link(strength, 0, view, 'depth');
      await size(view, 384, 256);
      return { without_depth };
    });
    await run(page);
    Object.assign(result, await inPage(page, async places => {
      const { until, choose, point, slide } = window.steps;
      const { strength, view, link, add } = window;
      const widget = name => strength.widgets.find(one => one.name === name);
      const { parts } = view.stereoViewer;
      await until(() => view.stereoViewer.media?.hasDepth);
      const written = [];
      for (const [mode, x, y] of places) {
        choose(view, mode);
        slide(parts.shift, 0);
        point(view, x, y, { ctrlKey: true });
        written.push([widget('convergence').value, view.stereoViewer.shift]);
      }
      slide(parts.shift, 0.6);
      parts.put.click();
      const said = { set: [widget('convergence').value, parts.note.textContent] };
      const refused = (keys = { ctrlKey: true }) => {
        widget('convergence').value = 0.11;
        point(view, 0.5, 0.5, keys);
        return [widget('convergence').value, parts.note.textContent];
      };
      widget('screen').value = 'percentile';
      said.percentile = refused();
      said.forced = [...refused({ ctrlKey: true, shiftKey: true }), widget('screen').value];
      const number = add('PrimitiveFloat', 90, 700);
      link(number, 0, strength, 'convergence');
      said.linked = refused();
      strength.disconnectInput(strength.inputs.findIndex(input => input.name === 'convergence'));
      app.graph.remove(number);
      return { written, said };
    }, places));
    await pause(500);
    if (screenshot) await page.screenshot({ path: screenshot });
    return result;
  },

  // The nodes that make the views in one subgraph, the viewer outside and then in another: clicks, and full screen.
  async subgraphs(page, { vue, screenshot }) {
    await draw(page, vue);
    await inPage(page, async () => {
      await window.steps.fresh();
      const add = (type, ...pos) => {
        const node = LiteGraph.createNode(type);
        node.pos = pos;
        app.graph.add(node);
        return node;
      };
      const link = (from, slot, to, name) => from.connect(slot, to, to.inputs.findIndex(input => input.name === name));
      const scene = add('Stereo_ExampleScene', 90, 120), strength = add('Stereo_StereoStrength', 90, 260);
      const shift = add('Stereo_ImageStereoShift', 400, 120), view = add('Stereo_StereoPreview', 720, 120);
      link(scene, 0, shift, 'image');
      link(scene, 1, strength, 'depth');
      link(strength, 0, shift, 'depth');
      link(strength, 0, view, 'depth');
      for (const slot of [0, 1]) link(shift, slot, view, ['left', 'right'][slot]);
      window.inner = app.graph.convertToSubgraph(new Set([strength, shift])).subgraph;
    });
    const clicked = async inside => {
      await run(page);
      return inPage(page, async inside => {
        const { until, point, choose, repaints } = window.steps;
        const graph = inside ? window.outer : app.rootGraph;
        const view = (window.view = graph.nodes.find(node => node.comfyClass === 'Stereo_StereoPreview'));
        const strength = window.inner.nodes.find(node => node.comfyClass === 'Stereo_StereoStrength');
        const convergence = strength.widgets.find(widget => widget.name === 'convergence');
        await until(() => view.stereoViewer.media?.hasDepth && view.stereoViewer.drawn);
        choose(view, 'left');
        convergence.value = 0.11;
        await repaints(3);
        point(view, 0.5, 0.7, { ctrlKey: true });
        return [convergence.value, view.stereoViewer.parts.note.textContent];
      }, inside);
    };
    const outside = await clicked(false);
    await inPage(page, async () => {
      const { subgraph, node } = app.graph.convertToSubgraph(new Set([window.view]));
      window.outer = subgraph;
      app.canvas.openSubgraph(subgraph, node);
      await window.steps.repaints(3);
    });
    const inside = await clicked(true);
    const box = await inPage(page, async () => {
      const { canvas, parts } = window.view.stereoViewer;
      app.canvas.centerOnNode(window.view);
      await window.steps.repaints(5);
      const { x, y, width, height } = parts.full.getBoundingClientRect();
      const { width: narrow } = canvas.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2, narrow };
    });
    await page.mouse.click(box.x, box.y);
    const full = await inPage(page, async () => {
      const { until, picture, slide } = window.steps;
      const { canvas, parts } = window.view.stereoViewer;
      await until(() => document.fullscreenElement === parts.stage);
      slide(parts.shift, 0);
      await until(() => canvas.width === window.innerWidth && canvas.height === window.innerHeight);
      return { picture: await picture(window.view), size: [canvas.width, canvas.height] };
    });
    if (screenshot) await page.screenshot({ path: screenshot });
    await page.keyboard.press('f');
    const left = await inPage(page, async narrow => {
      const { until } = window.steps;
      await until(() => !document.fullscreenElement);
      await until(() => Math.abs(window.view.stereoViewer.canvas.getBoundingClientRect().width - narrow) < 2);
      app.canvas.setGraph(app.rootGraph);
      return true;
    }, box.narrow);
    return { outside, inside, full, left };
  },

  // A preview from the menu of nodes that make, take or decode both views; the first one is run.
  async menu(page, { vue }) {
    await draw(page, vue);
    await inPage(page, async () => {
      await window.steps.fresh();
      const add = type => app.graph.add(LiteGraph.createNode(type)) ?? app.graph.nodes.at(-1);
      const link = (from, slot, to, name) => from.connect(slot, to, to.inputs.findIndex(input => input.name === name));
      const types = ['ExampleScene', 'StereoStrength', 'ImageStereoShift', 'SBSCombine', 'StereoKSampler', 'SBSSplit'];
      const nodes = types.map(type => add(`Stereo_${type}`));
      const [scene, strength, shift, combine, sampler, split] = nodes, [decode, plain] = [add('VAEDecode'), add('VAEDecode')];
      link(scene, 0, shift, 'image');
      link(scene, 1, strength, 'depth');
      link(strength, 0, shift, 'depth');
      for (const slot of [0, 1]) link(shift, slot, combine, ['left', 'right'][slot]);
      link(sampler, 0, decode, 'samples');
      window.menu = node => app.canvas.getNodeMenuOptions(node).find(item => item?.content?.includes('Stereo Preview'));
      window.made = { shift, combine, decode, split, none: [scene, strength, sampler, plain] };
    });
    const chosen = await inPage(page, async () => {
      const connected = node => Object.fromEntries(node.inputs.map(({ name, link }) => {
        const from = link != null && app.graph.links.get(link);
        return [name, from && [app.graph.getNodeById(from.origin_id).comfyClass, from.origin_slot]];
      }));
      const { none, ...some } = window.made;
      const seen = {};
      for (const [name, node] of Object.entries(some)) {
        window.menu(node).callback();
        const view = app.graph.nodes.at(-1);
        seen[name] = [view.comfyClass, connected(view), view.pos[0] > node.pos[0] + node.size[0]];
        if (name === 'shift') window.view = view;
        else app.graph.remove(view);
      }
      for (const node of [some.decode, some.split, ...none.slice(2)]) app.graph.remove(node);
      return { seen, none: none.map(node => window.menu(node) ?? null), itself: window.menu(window.view) ?? null };
    });
    await run(page);
    return inPage(page, async chosen => {
      await window.steps.until(() => window.view.stereoViewer.media?.hasDepth && window.view.stereoViewer.drawn);
      return chosen;
    }, chosen);
  },

  // What the node before it has shown is there again in another tab and back, and after the file is loaded again.
  async tabs(page, { item, vue }) {
    await draw(page, vue);
    return inPage(page, async item => {
      const { fresh, show, choose, slide, until, picture, repaints } = window.steps;
      await fresh();
      const first = await show([item]);
      choose(first, 'difference');
      slide(first.stereoViewer.parts.shift, 1.5);
      const before = await picture(first);
      const { command, workflow } = app.extensionManager;
      const here = workflow.activeWorkflow;
      here.changeTracker.captureCanvasState?.() ?? here.changeTracker.checkState?.();
      const saved = app.graph.serialize();
      await command.execute('Comfy.NewBlankWorkflow');
      await until(() => app.graph.nodes.length === 0);
      const closed = first.stereoViewer.closed;
      await repaints(3);
      const other = await show([item]); // of the same id as the one in the first tab
      await command.execute('Workspace.PreviousOpenedWorkflow');
      const found = () => app.graph.nodes.find(node => node.comfyClass === 'Stereo_StereoPreview' && node !== other);
      const back = await until(found);
      await until(() => back.stereoViewer.drawn);
      const again = { mode: back.stereoViewer.parts.mode.value, shift: back.stereoViewer.shift, same: (await picture(back)) === before };
      await app.loadGraphData(saved);
      const loaded = await until(found);
      return { closed, again, loaded: { mode: loaded.stereoViewer.parts.mode.value, shift: loaded.stereoViewer.shift } };
    }, item);
  },

  // Many viewers open and closed, twice; and the graphics card's memory lost and given back.
  async many(page, { item, count, vue, screenshot }) {
    await draw(page, vue);
    const open = await inPage(page, async ({ item, count }) => {
      const { fresh, show } = window.steps;
      let lost = 0;
      const rounds = [];
      for (let round = 0; round < 2; round++) {
        await fresh();
        app.canvas.ds.scale = 0.4;
        const places = Array.from({ length: count }, (_, i) => [160 + (i % 5) * 460, 200 + Math.floor(i / 5) * 480]);
        const nodes = await Promise.all(places.map(place => show([item], place)));
        const { graphics } = nodes[0].stereoViewer;
        graphics.canvas.addEventListener('webglcontextlost', () => (lost += 1));
        rounds.push({ shared: new Set(nodes.map(node => node.stereoViewer.graphics)).size, viewers: graphics.viewers.size, lost });
        window.opened = { nodes, graphics };
        if (round === 0) {
          for (const node of nodes) app.graph.remove(node);
          await new Promise(resolve => setTimeout(resolve, 100));
          rounds[0].released = graphics.gl.isContextLost() && graphics.viewers.size === 0;
          lost = 0;
        }
      }
      return rounds;
    }, { item, count });
    await pause(300);
    if (screenshot) await page.screenshot({ path: screenshot });
    const lost = await inPage(page, async () => {
      const { picture, until, choose, repaints } = window.steps;
      const { nodes, graphics } = window.opened;
      choose(nodes[0], 'anaglyph_dubois');
      const before = await picture(nodes[0]);
      const memory = graphics.gl.getExtension('WEBGL_lose_context');
      memory.loseContext();
      await until(() => !graphics.works);
      await repaints(3);
      const kept = (await picture(nodes[0])) === before;
      memory.restoreContext();
      await until(() => graphics.works && graphics.generation === 1);
      choose(nodes[0], 'left');
      await repaints(3);
      choose(nodes[0], 'anaglyph_dubois');
      return { kept, back: (await picture(nodes[0])) === before };
    });
    return { open, lost };
  },

  // A clip: which frame is seen, playing and step by step.
  async clip(page, { item, vue, screenshot }) {
    await draw(page, vue);
    const result = await inPage(page, async item => {
      const { fresh, show, size, choose, until, picture, repaints } = window.steps;
      await fresh();
      const node = await show([item]);
      const viewer = node.stereoViewer;
      const frames = new Set();
      for (const end = performance.now() + 2500; performance.now() < end && frames.size < 3; await repaints(1)) frames.add(viewer.frame);
      viewer.parts.play.click();
      await size(node, item.width, item.height);
      choose(node, 'left');
      const seen = [];
      const press = key => viewer.canvas.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
      for (const [key, frame] of [[null, 2], ['.', 3], [',', 2]]) {
        if (key) press(key);
        else {
          viewer.parts.frame.value = frame;
          viewer.parts.frame.dispatchEvent(new Event('input'));
        }
        const stamp = viewer.media.stamp;
        await until(() => viewer.frame === frame && viewer.media.stamp !== stamp && !viewer.media.video.seeking);
        await repaints(2);
        seen.push([frame, await picture(node), viewer.parts.number.textContent]);
      }
      choose(node, 'right');
      seen.push(['right', await picture(node)]);
      const depth = [viewer.media.nearness(0.1, 0.5), viewer.media.nearness(0.9, 0.5)];
      return { played: frames.size, seen, depth };
    }, item);
    if (screenshot) await page.screenshot({ path: screenshot });
    return result;
  },

  // Keys on the picture are the viewer's; those that the editor has stay there.
  async keys(page, { item, vue }) {
    await draw(page, vue);
    await inPage(page, async item => {
      await window.steps.fresh();
      window.view = await window.steps.show([item]);
      app.canvas.selectNode?.(window.view);
      window.view.stereoViewer.canvas.focus();
    }, item);
    const seen = [];
    const pressed = async key => {
      await page.keyboard.press(key);
      seen.push(await page.evaluate(() => [window.view.stereoViewer.mode, Math.round(window.view.stereoViewer.shift * 1000), window.view.stereoViewer.playing, app.graph.nodes.length, window.view.mode]));
    };
    for (const key of ['2', 'ArrowRight', 'ArrowLeft', 'ArrowLeft', 'Home', 'Space', 'Delete', 'm', '9']) await pressed(key);
    const wheel = await inPage(page, async () => {
      const { left, top, width, height } = window.view.stereoViewer.canvas.getBoundingClientRect();
      return [left + width / 2, top + height / 2, app.canvas.ds.scale];
    });
    await page.mouse.move(wheel[0], wheel[1]);
    await page.mouse.wheel({ deltaY: -200 });
    await pause(300);
    return { seen, zoomed: (await page.evaluate(() => app.canvas.ds.scale)) !== wheel[2] };
  },

  // In an emulated headset: what each eye's half of the screen shows.
  async headset(page, { item }) {
    const none = await inPage(page, async item => {
      const { fresh, show, until } = window.steps;
      await fresh();
      const { headset } = (await show([item])).stereoViewer.parts;
      await until(() => headset.title !== 'Looking for a headset');
      return [headset.disabled, headset.title];
    }, item);
    await page.addScriptTag({ path: require.resolve('iwer/build/iwer.min.js') });
    return inPage(page, async ({ item, none }) => {
      const { fresh, show, until } = window.steps;
      const device = new IWER.XRDevice(IWER.metaQuest3);
      device.installRuntime({ forceInstall: true });
      device.stereoEnabled = true;
      await fresh();
      const viewer = (await show([item])).stereoViewer;
      await until(() => !viewer.parts.headset.disabled);
      viewer.parts.headset.click();
      const session = await until(() => viewer.session);
      const halves = await new Promise((resolve, reject) => {
        let frames = 0;
        const look = () => {
          try {
            if (++frames < 5) return session.requestAnimationFrame(look);
            const { gl } = viewer.graphics;
            const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
            const pixels = new Uint8Array(4 * width * height);
            gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
            const copy = Object.assign(document.createElement('canvas'), { width, height });
            const flipped = new ImageData(new Uint8ClampedArray(pixels), width, height);
            copy.getContext('2d').putImageData(flipped, 0, 0);
            resolve(copy.toDataURL('image/png'));
          } catch (error) {
            reject(error);
          }
        };
        session.requestAnimationFrame(look);
      });
      const label = viewer.parts.headset.textContent;
      viewer.parts.headset.click();
      await until(() => !viewer.session);
      return { none, halves, label, after: viewer.parts.headset.textContent };
    }, { item, none });
  },
};

let status = 0;
try {
  const page = await open(browser, process.argv[2]);
  page.on('pageerror', error => errors.push(String(error).slice(0, 300)));
  await page.evaluate(tools);
  for (const job of jobs) {
    const started = Date.now();
    const answer = await steps[job.step](page, job);
    process.stdout.write(JSON.stringify({ ...answer, errors: errors.splice(0) }) + '\n');
    process.stderr.write(`${job.step} ${Date.now() - started} ms\n`);
  }
} catch (error) {
  process.stdout.write(JSON.stringify(failure(error)) + '\n');
  status = 1;
}
await close(browser);
process.exit(status);
