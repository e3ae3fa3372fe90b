// What is shown: a pair of pictures, or a clip whose frames hold both views side by side; and depth, where it is known.

// Load one item of the node's output (nodes/delivery/stereo_preview.py); `url` finds its files. The error says to the
// user why it cannot be shown.
export async function load(item, url) {
  const media = item.clip ? new Film(item, url) : new Pair(item, url);
  await media.loaded.catch(() => {
    throw new Error('The views cannot be loaded: their files are gone. Run the workflow again.');
  });
  return media;
}

class Media {
  constructor(item) {
    this.item = item;
    this.size = [item.width, item.height];
    this.stamp = 0; // changes with what there is to draw
    this.textures = [];
  }

  get hasDepth() {
    return Boolean(this.item.geometry);
  }

  // How deep the stereo is: {strength, onScreen, plain}, or null where nobody has told.
  get geometry() {
    if (!this.hasDepth) return null;
    const { strength, screens, plain } = this.item.geometry;
    return { strength, onScreen: screens[Math.min(this.frame, screens.length - 1)], plain };
  }

  // Bring what is new to the graphics card: a texture for left, right and depth each.
  bind(gl, generation) {
    const sources = this.sources();
    if (this.generation !== generation) {
      this.textures = sources.map(() => gl.createTexture());
      this.generation = generation;
      this.uploaded = undefined;
    }
    if (this.uploaded !== this.stamp) {
      gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
      sources.forEach((source, index) => this.upload(gl, this.textures[index], source));
      this.uploaded = this.stamp;
    }
    for (let unit = 0; unit < 3; unit++) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, this.textures[Math.min(unit, this.textures.length - 1)]);
    }
  }

  upload(gl, texture, source) {
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, this.minified(gl));
  }

  // The depth map's value at a place of the left view, 0 (far) to 1 (near).
  nearness(x, y) {
    const { width, height } = this.place(2);
    const column = Math.min(width - 1, Math.max(0, Math.floor(x * width)));
    const row = Math.min(height - 1, Math.max(0, Math.floor(y * height)));
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    context.drawImage(this.place(2).source, this.place(2).x + column, row, 1, 1, 0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data[0] / 255;
  }

  dispose(gl) {
    for (const texture of this.textures) gl.deleteTexture(texture);
    this.textures = [];
    this.generation = undefined;
  }
}

class Pair extends Media {
  frame = 0;
  starts = [0, 0, 0];
  share = 1;
  count = 1;

  constructor(item, url) {
    super(item);
    const files = [item.left, item.right, item.depth].filter(Boolean);
    this.images = files.map(file => Object.assign(new Image(), { src: url(file) }));
    this.loaded = Promise.all(this.images.map(image => image.decode()));
  }

  sources() {
    return this.images;
  }

  place(view) {
    return { source: this.images[view], x: 0, width: this.size[0], height: this.size[1] };
  }

  minified(gl) {
    gl.generateMipmap(gl.TEXTURE_2D);
    return gl.LINEAR_MIPMAP_LINEAR;
  }

  play() {}
  pause() {}
}

class Film extends Media {
  constructor(item, url) {
    super(item);
    const panels = item.geometry ? 3 : 2;
    this.share = 1 / panels;
    this.starts = [0, 1 / panels, 2 / panels];
    this.count = item.frames;
    const settings = { muted: true, loop: true, playsInline: true, preload: 'auto' };
    this.video = Object.assign(document.createElement('video'), settings);
    if (!this.video.canPlayType('video/mp4; codecs="avc1.640028"')) {
      throw new Error('This browser does not play clips in H.264. Use another browser.');
    }
    this.loaded = new Promise((resolve, reject) => {
      this.video.addEventListener('loadeddata', resolve, { once: true });
      this.video.addEventListener('error', reject, { once: true });
    });
    this.video.src = url(item.clip);
    this.watch();
  }

  watch() {
    const { video } = this;
    const changed = () => (this.stamp += 1);
    for (const event of ['loadeddata', 'seeked', 'timeupdate']) video.addEventListener(event, changed);
    const next = () => {
      changed();
      video.requestVideoFrameCallback?.(next);
    };
    next();
  }

  get frame() {
    return Math.min(this.count - 1, Math.floor(this.video.currentTime * this.item.fps + 1e-3));
  }

  set frame(index) {
    this.video.currentTime = (index + 0.5) / this.item.fps;
  }

  sources() {
    return [this.video];
  }

  place(view) {
    const [width, height] = this.size;
    return { source: this.video, x: view * width, width, height };
  }

  minified(gl) {
    return gl.LINEAR;
  }

  play() {
    if (this.video.paused) this.video.play().catch(() => {}); // a browser may refuse until the page is used
  }

  pause() {
    this.video.pause();
  }

  dispose(gl) {
    super.dispose(gl);
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
  }
}
