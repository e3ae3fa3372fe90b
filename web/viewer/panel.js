// The viewer: a picture, the controls above it and a line of text below. All that it knows of the editor is `host`:
//   shown()              the items to show (nodes/delivery/stereo_preview.py), or undefined
//   url(file)            where a file lies
//   read(name), write(name, value)   what is remembered with the node
//   putOnScreen(depth, plain, force) make this depth the plane of the screen; returns what to tell the user
import { panel, showFrame, showHeadset, showState } from './controls.js';
import { enter, leave } from './graphics.js';
import { enterHeadset, obstacle } from './headset.js';
import { load } from './media.js';
import { BETWEEN, MODES, RIGHT, places } from './modes.js';

const WIGGLE = 150; // milliseconds that each view is seen for
const MOST_SHIFT = 0.1; // of the width

export class Viewer {
  constructor(host) {
    this.host = host;
    this.still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.playing = !this.still;
    this.second = false; // the eye that is seen while nothing moves
    this.along = 0.5;
    this.index = 0; // of the item that is shown
    this.items = [];
    this.recall();
    this.parts = panel(this);
    this.root = this.parts.root;
    this.canvas = this.parts.canvas;
    this.context = this.canvas.getContext('2d', { alpha: false });
    this.graphics = enter(this);
    obstacle().then(reason => showHeadset(this.parts, reason), () => {});
  }

  // Take over what the node remembers.
  recall() {
    const mode = this.host.read('stereo_mode');
    this.mode = MODES[mode] ? mode : 'wiggle';
    this.shift = Number(this.host.read('stereo_shift')) || 0;
    if (this.parts) showState(this.parts, this);
  }

  close() {
    this.closed = true;
    this.session?.end().catch(() => {});
    this.media?.dispose(this.graphics.gl);
    leave(this);
  }

  tell(text) {
    this.parts.note.textContent = text;
  }

  // Before every repaint: take over what the node has put out, and draw where something has changed.
  tick(now) {
    const items = this.host.shown();
    const name = items?.map(item => (item.clip ?? item.left).filename).join();
    if (name && name !== this.name) {
      this.name = name;
      this.items = items;
      this.shift = Number(this.host.read('stereo_shift')) || 0;
      this.show(Math.min(this.index, items.length - 1));
    }
    const box = this.canvas.getBoundingClientRect();
    const width = Math.round(box.width * devicePixelRatio), height = Math.round(box.height * devicePixelRatio);
    const { media } = this;
    if (!media) return;
    if (!width || !height) return media.pause(); // out of sight
    if (this.playing) media.play();
    if (!this.graphics.works) return;
    const mode = this.shown;
    const moves = this.playing || (media.count > 1 && !this.still);
    const second = mode === 'wiggle' && (moves ? Math.floor(now / WIGGLE) % 2 === 1 : this.second);
    const along = mode === 'parallax' ? this.along : 0;
    const look = { mode, second, along, shift: this.shift };
    const state = [this.name, this.index, media.stamp, this.graphics.generation, width, height];
    const wanted = [...state, ...Object.values(look)].join();
    if (wanted === this.drawn) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.graphics.draw(this.context, media, look);
    this.drawn = wanted;
    showFrame(this.parts, this);
  }

  async show(index) {
    this.index = index;
    const item = this.items[index];
    try {
      const media = await load(item, this.host.url);
      if (this.closed || item !== this.items[this.index]) return media.dispose(this.graphics.gl);
      this.media?.dispose(this.graphics.gl);
      this.media = media;
      this.tell(this.graphics.gl ? describe(item) : 'The viewer needs WebGL 2, which this browser does not offer.');
    } catch (error) {
      this.tell(error.message);
    }
    showState(this.parts, this);
  }

  // The mode, or another where there is no depth for it.
  get shown() {
    return MODES[this.mode].depth && !this.media?.hasDepth ? 'wiggle' : this.mode;
  }

  // What the controls and the keys do.
  setMode(mode) {
    if (MODES[mode].depth && !this.media?.hasDepth) {
      return this.tell(`${MODES[mode].label} needs depth. Connect Stereo Strength or a depth map to depth, and run.`);
    }
    this.mode = mode;
    this.host.write('stereo_mode', mode);
    showState(this.parts, this);
  }

  setShift(share, remembered = true) {
    this.shift = Math.max(-MOST_SHIFT, Math.min(MOST_SHIFT, share));
    this.host.write('stereo_shift', remembered ? this.shift : 0);
    showState(this.parts, this);
  }

  setPlaying(playing) {
    this.playing = playing;
    if (!playing) this.media?.pause();
    showState(this.parts, this);
  }

  // One frame of a clip, or one picture of several.
  setFrame(index) {
    if (this.items.length > 1) return this.show((index + this.items.length) % this.items.length);
    if (!this.media || this.media.count < 2) return;
    this.setPlaying(false);
    this.media.frame = (index + this.media.count) % this.media.count;
  }

  get frame() {
    return this.items.length > 1 ? this.index : (this.media?.frame ?? 0);
  }

  get frames() {
    return this.items.length > 1 ? this.items.length : (this.media?.count ?? 1);
  }

  async setFullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : this.parts.stage.requestFullscreen();
    await change.catch(() => {});
    this.canvas.focus();
  }

  async setHeadset() {
    if (this.session) return this.session.end();
    if (!this.media) return this.tell('There is nothing to show yet. Run the workflow first.');
    try {
      this.session = await enterHeadset(this.graphics, () => ({ media: this.media, shift: this.shift }));
      this.session.addEventListener('end', () => {
        this.session = undefined;
        showState(this.parts, this);
      });
      showState(this.parts, this);
    } catch (error) {
      this.tell(`The headset did not start: ${error.message ?? error}`);
    }
  }

  // Put what is under the pointer, or where the slider stands, on the screen: here now, in the graph for the next run.
  point(event) {
    const place = this.media?.hasDepth && this.placeUnder(event);
    if (place) this.putOnScreen(this.media.nearness(place.x, place.y), event.shiftKey);
  }

  putShiftOnScreen() {
    const { strength, onScreen } = this.media.geometry;
    this.putOnScreen(onScreen + this.shift / strength, false);
  }

  putOnScreen(depth, force) {
    const { strength, onScreen, plain } = this.media.geometry;
    const { done, text } = this.host.putOnScreen(depth, plain, force);
    if (done && !plain) this.setShift(strength * (done.value - onScreen), false);
    this.tell(text);
  }

  // The place of the left view, 0 to 1 in x and y, that an event points at; null beside the picture.
  placeUnder(event) {
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = this.media.size;
    const left = event.clientX - box.left, top = event.clientY - box.top;
    for (const place of places(this.shown, box.width, box.height, width / height)) {
      const x = (left - place.x) / place.width, y = (top - place.y) / place.height;
      if (x < 0 || y < 0 || x >= 1 || y >= 1) continue;
      const { strength, onScreen } = this.media.geometry;
      const along = place.view === RIGHT ? 1 : place.view === BETWEEN ? this.along : 0;
      const start = x + this.shift * (0.5 - along);
      let there = start;
      for (let round = 0; round < 8; round++) {
        there = start + along * strength * (this.media.nearness(there, y) - onScreen);
      }
      return { x: there, y };
    }
    return null;
  }
}

function describe(item) {
  const size = `${item.of[0]} × ${item.of[1]}`;
  const whole = item.of[0] === item.width && item.of[1] === item.height;
  const scaled = whole ? '' : `, shown at ${item.width} × ${item.height}`;
  const clip = item.clip ? `, ${item.frames} frames` : '';
  return `${size}${scaled}${clip}${item.geometry ? ' · Ctrl+click puts what is there on the screen' : ''}`;
}
