// Both views in a headset, by WebXR: a flat screen two metres ahead, each eye its own view.
import { SCREEN } from './shaders.js';

const AWAY = 2, WIDEST = 2 * AWAY * Math.tan((35 * Math.PI) / 180), HIGHEST = 0.75 * WIDEST; // metres; 70 degrees

// Whether a headset can be entered: null, or why not.
export async function obstacle() {
  if (!window.isSecureContext) return 'A headset needs a page served by https, or by this computer itself (localhost)';
  if (!navigator.xr) return 'This browser has no WebXR';
  return (await navigator.xr.isSessionSupported('immersive-vr')) ? null : 'No headset is connected';
}

// The screen's width and height in metres.
export function screenSize([width, height]) {
  const scale = Math.min(WIDEST / width, HIGHEST / height);
  return [width * scale, height * scale];
}

// Show what `current()` returns, {media, shift}, until the session ends. Returns the session.
export async function enterHeadset(graphics, current) {
  const { gl } = graphics;
  const session = await navigator.xr.requestSession('immersive-vr');
  try {
    await gl.makeXRCompatible();
    await session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) });
    const space = await session.requestReferenceSpace('local');
    const draw = (_, frame) => {
      session.requestAnimationFrame(draw);
      const pose = frame.getViewerPose(space);
      if (pose && graphics.works) drawRoom(graphics, session.renderState.baseLayer, pose.views, current());
    };
    session.requestAnimationFrame(draw);
  } catch (error) {
    await session.end();
    throw error;
  }
  return session;
}

function drawRoom(graphics, layer, views, { media, shift }) {
  const { gl } = graphics;
  const uniforms = graphics.use(SCREEN);
  graphics.bind(media, uniforms);
  gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
  gl.clearColor(0, 0, 0, 1);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.uniform3f(uniforms.size, ...screenSize(media.size), AWAY);
  gl.uniform1f(uniforms.shift, shift);
  for (const view of views) {
    const { x, y, width, height } = layer.getViewport(view);
    gl.viewport(x, y, width, height);
    gl.uniformMatrix4fv(uniforms.projection, false, view.projectionMatrix);
    gl.uniformMatrix4fv(uniforms.eye, false, view.transform.inverse.matrix);
    gl.uniform1i(uniforms.view, view.eye === 'right' ? 1 : 0);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}
