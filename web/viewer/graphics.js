// The one WebGL context of the page, which draws for every viewer: browsers allow only about 16 of them. It is made for
// the first viewer and released after the last one.
import { GLASSES, places } from './modes.js';
import { FLAT } from './shaders.js';

let shared = null;

// Join: `viewer.tick(now)` is called before every repaint.
export function enter(viewer) {
  shared ??= new Graphics();
  shared.viewers.add(viewer);
  return shared;
}

export function leave(viewer) {
  if (!shared?.viewers.delete(viewer) || shared.viewers.size) return;
  shared.close();
  shared = null;
}

class Graphics {
  viewers = new Set();
  generation = 0; // changes when all that the card held is gone
  programs = new Map();

  constructor() {
    this.canvas = document.createElement('canvas');
    this.gl = this.canvas.getContext('webgl2', { alpha: false, antialias: false, depth: false });
    if (this.gl) {
      this.canvas.addEventListener('webglcontextlost', event => event.preventDefault()); // so that it may come back
      this.canvas.addEventListener('webglcontextrestored', () => {
        this.programs.clear();
        this.generation += 1;
      });
    }
    this.frame = now => {
      if (this.closed) return;
      requestAnimationFrame(this.frame); // first, so that an error in one viewer does not stop the others
      for (const viewer of this.viewers) viewer.tick(now);
    };
    requestAnimationFrame(this.frame);
  }

  get works() {
    return Boolean(this.gl) && !this.gl.isContextLost();
  }

  close() {
    this.closed = true;
    this.gl?.getExtension('WEBGL_lose_context')?.loseContext();
  }

  // A program of ./shaders.js, in use, with its uniforms by name.
  use(source) {
    const { gl } = this;
    if (!this.programs.has(source)) this.programs.set(source, compile(gl, source));
    const made = this.programs.get(source);
    gl.useProgram(made.program);
    return made.uniforms;
  }

  // Put the views into the three texture units, and tell the program where they are in them.
  bind(media, uniforms) {
    const { gl } = this;
    media.bind(gl, this.generation);
    gl.uniform1i(uniforms.leftView, 0);
    gl.uniform1i(uniforms.rightView, 1);
    gl.uniform1i(uniforms.depthMap, 2);
    gl.uniform3fv(uniforms.starts, media.starts);
    gl.uniform1f(uniforms.share, media.share);
  }

  // Draw what `look` asks for into a 2D context, as large as its canvas: {mode, second, shift, along}.
  draw(context, media, look) {
    const { gl, canvas } = this;
    const { width, height } = context.canvas;
    if (canvas.width < width || canvas.height < height) {
      canvas.width = Math.max(canvas.width, width);
      canvas.height = Math.max(canvas.height, height);
    }
    const uniforms = this.use(FLAT);
    this.bind(media, uniforms);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform1f(uniforms.shift, look.shift);
    gl.uniform1f(uniforms.along, look.along);
    gl.uniform1f(uniforms.strength, media.geometry?.strength ?? 0);
    gl.uniform1f(uniforms.onScreen, media.geometry?.onScreen ?? 0);
    const [forLeft, forRight] = GLASSES[look.mode] ?? GLASSES.anaglyph_dubois;
    gl.uniformMatrix3fv(uniforms.leftMix, true, forLeft);
    gl.uniformMatrix3fv(uniforms.rightMix, true, forRight);
    for (const place of places(look.mode, width, height, media.size[0] / media.size[1])) {
      gl.uniform1i(uniforms.view, look.mode === 'wiggle' ? Number(look.second) : place.view);
      gl.viewport(place.x, height - place.y - place.height, place.width, place.height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    context.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
  }
}

function compile(gl, source) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, source.vertex], [gl.FRAGMENT_SHADER, source.fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    const compiled = gl.getShaderParameter(shader, gl.COMPILE_STATUS) || gl.isContextLost();
    if (!compiled) throw new Error(gl.getShaderInfoLog(shader));
  }
  gl.linkProgram(program);
  const uniforms = {};
  for (let index = 0; index < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); index++) {
    const { name } = gl.getActiveUniform(program, index);
    uniforms[name] = gl.getUniformLocation(program, name);
  }
  return { program, uniforms };
}
