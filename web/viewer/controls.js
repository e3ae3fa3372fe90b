// The elements of a viewer, and what they show of its state.
import { MODES } from './modes.js';

const STYLE = `
.stereo-viewer { display: flex; flex-direction: column; gap: 4px; box-sizing: border-box; width: 100%; height: 100%;
  min-height: 240px; font: 12px system-ui, sans-serif; color: var(--input-text, #ddd); }
.stereo-viewer .bar { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; flex: 0 0 auto; }
.stereo-viewer button, .stereo-viewer select { font: inherit; color: inherit; padding: 2px 6px; border-radius: 4px;
  background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #4e4e4e); cursor: pointer; }
.stereo-viewer select { flex: 1 1 90px; min-width: 90px; }
.stereo-viewer button:disabled { opacity: 0.5; cursor: default; }
.stereo-viewer label { display: flex; gap: 6px; align-items: center; flex: 1 1 190px; min-width: 0; }
.stereo-viewer input { flex: 1 1 40px; min-width: 40px; width: 40px; margin: 0; }
.stereo-viewer output { flex: 0 0 auto; min-width: 3.6em; text-align: right; font-variant-numeric: tabular-nums; }
.stereo-viewer .stage { position: relative; flex: 1 1 0; min-height: 120px; background: #000; overflow: hidden; }
.stereo-viewer canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none; }
.stereo-viewer canvas:focus-visible { outline: 2px solid var(--p-primary-color, #4a90e2); outline-offset: -2px; }
.stereo-viewer .note { flex: 0 0 auto; min-height: 15px; opacity: 0.8; }
.stereo-viewer [hidden] { display: none; }`;

const KEYS = `Ctrl+click puts what is there on the screen.
Keys: 1 to 0 choose the mode, left and right move the screen, Home puts it back,
space stops and goes on, comma and full stop step through frames, f is full screen.`;

function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

// Build the elements of `viewer` and connect them with it.
export function panel(viewer) {
  const button = (textContent, title, onclick) => make('button', { type: 'button', textContent, title, onclick });
  const slider = (title, oninput, range) => make('input', { type: 'range', title, oninput, ...range });
  const parts = {
    mode: make('select', {
      title: 'How the two views are shown',
      onchange: event => viewer.setMode(event.target.value),
    }),
    play: button('Pause', 'Stop the motion, or let it go on (space)', () => viewer.setPlaying(!viewer.playing)),
    shift: slider('Move everything behind the screen (right) or in front of it (left), in percent of the width',
      event => viewer.setShift(event.target.value / 100), { min: -10, max: 10, step: 0.1 }),
    percent: make('output'),
    put: button('Set', 'Write this into convergence of Stereo Strength, for the next run', () =>
      viewer.putShiftOnScreen(),
    ),
    frame: slider('Frame', event => viewer.setFrame(Number(event.target.value)), { min: 0, step: 1, value: 0 }),
    number: make('output'),
    full: button('Full screen', 'Show the picture on the whole screen (f)', () => viewer.setFullScreen()),
    headset: button('Enter VR', 'Looking for a headset', () => viewer.setHeadset()),
    canvas: make('canvas', { tabIndex: 0, title: KEYS }),
    note: make('div', { className: 'note', role: 'status' }),
  };
  for (const [value, { label, hint }] of Object.entries(MODES)) {
    parts.mode.append(make('option', { value, textContent: label, title: hint }));
  }
  parts.headset.disabled = true;
  parts.full.hidden = !document.fullscreenEnabled;
  parts.canvas.setAttribute('role', 'img');
  parts.canvas.setAttribute('aria-label', 'Stereo picture');
  parts.frames = make('label', {}, make('span', { textContent: 'Frame' }), parts.frame, parts.number);
  parts.stage = make('div', { className: 'stage' }, parts.canvas);
  const named = make('label', {}, make('span', { textContent: 'Convergence' }), parts.shift, parts.percent);
  const buttons = make('div', { className: 'bar' }, parts.mode, parts.play, parts.full, parts.headset);
  const sliders = make('div', { className: 'bar' }, named, parts.put, parts.frames);
  const style = make('style', { textContent: STYLE });
  parts.root = make('div', { className: 'stereo-viewer' }, style, buttons, sliders, parts.stage, parts.note);
  listen(viewer, parts);
  showState(parts, viewer);
  return parts;
}

function listen(viewer, { root, canvas }) {
  canvas.addEventListener('pointermove', event => {
    const box = canvas.getBoundingClientRect();
    viewer.along = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  });
  canvas.addEventListener('click', event => {
    canvas.focus();
    if (event.ctrlKey || event.metaKey) viewer.point(event);
    else viewer.second = !viewer.second;
  });
  canvas.addEventListener('contextmenu', event => event.ctrlKey && event.preventDefault()); // Ctrl+click on a Mac
  for (const kind of ['pointerdown', 'pointerup', 'pointermove', 'dblclick']) {
    root.addEventListener(kind, event => event.stopPropagation());
  }
  root.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the editor's own
    event.stopPropagation();
    if (event.target === canvas && press(viewer, event)) event.preventDefault();
  });
}

function press(viewer, event) {
  const step = event.shiftKey ? 0.01 : 0.001;
  const names = Object.keys(MODES);
  const actions = {
    ' ': () => viewer.setPlaying(!viewer.playing),
    ArrowLeft: () => viewer.setShift(viewer.shift - step),
    ArrowRight: () => viewer.setShift(viewer.shift + step),
    Home: () => viewer.setShift(0),
    ',': () => viewer.setFrame(viewer.frame - 1),
    '.': () => viewer.setFrame(viewer.frame + 1),
    f: () => viewer.setFullScreen(),
  };
  names.forEach((name, index) => (actions[(index + 1) % 10] = () => viewer.setMode(name)));
  actions[event.key]?.();
  return event.key in actions;
}

// Show the viewer's state in its elements.
export function showState(parts, viewer) {
  const { media } = viewer;
  parts.mode.value = viewer.shown;
  for (const option of parts.mode.options) option.disabled = Boolean(MODES[option.value].depth) && !media?.hasDepth;
  parts.play.textContent = viewer.playing ? 'Pause' : 'Play';
  parts.shift.value = viewer.shift * 100;
  parts.percent.textContent = `${viewer.shift > 0 ? '+' : ''}${(viewer.shift * 100).toFixed(1)} %`;
  parts.put.hidden = !media?.geometry?.strength || media.geometry.plain || !viewer.shift;
  parts.frames.hidden = viewer.frames < 2;
  parts.frame.max = viewer.frames - 1;
  parts.headset.textContent = viewer.session ? 'Leave VR' : 'Enter VR';
  showFrame(parts, viewer);
}

export function showFrame(parts, viewer) {
  if (parts.frames.hidden) return;
  parts.frame.value = viewer.frame;
  parts.number.textContent = `${viewer.frame + 1}/${viewer.frames}`;
}

// `reason` says why there is no headset, or is null.
export function showHeadset(parts, reason) {
  parts.headset.disabled = reason !== null;
  parts.headset.title = reason ?? 'Show both views in the headset';
}
