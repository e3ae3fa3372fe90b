// Stereo Preview wherever there are two views: in the menu of each node that makes or takes both.
import { app } from '../../scripts/app.js';
import { upstream } from './stereo_preview.js';

const PREVIEW = 'Stereo_StereoPreview';
const SAMPLERS = ['Stereo_StereoKSampler', 'Stereo_StereoVideoKSampler'];
const BESIDE = 40; // pixels between the node and its preview

app.registerExtension({
  name: 'LatentStereo.PreviewMenu',
  getNodeMenuItems(node) {
    const views = sources(node);
    if (!views.left) return [];
    return [{ content: 'Look at it in Stereo Preview', callback: () => preview(node, views) }];
  },
});

// Where left, right and depth come from, [node, slot] each: from the node, or from where it has them.
function sources(node) {
  const { comfyClass = '', inputs = [], outputs = [] } = node;
  const made = name => outputs.findIndex(output => output.name === name && output.type === 'IMAGE');
  const given = name => {
    const id = inputs.find(input => input.name === name)?.link;
    const link = id != null && (node.graph.links.get?.(id) ?? node.graph.links[id]);
    const from = link && node.graph.getNodeById(link.origin_id);
    return from ? [from, link.origin_slot] : null;
  };
  if (comfyClass.startsWith('VAEDecode')) { // both views in one batch
    return [...upstream(node)].some(one => SAMPLERS.includes(one.comfyClass)) ? { left: [node, 0] } : {};
  }
  if (!comfyClass.startsWith('Stereo_') || comfyClass === PREVIEW) return {};
  const both = made('left') >= 0 && made('right') >= 0;
  const view = name => (both ? [node, made(name)] : given(name));
  return { left: view('left'), right: view('right'), depth: given('depth') };
}

function preview(node, views) {
  const viewer = LiteGraph.createNode(PREVIEW);
  viewer.pos = [node.pos[0] + node.size[0] + BESIDE, node.pos[1]];
  node.graph.add(viewer);
  for (const [name, from] of Object.entries(views)) {
    from?.[0].connect(from[1], viewer, viewer.inputs.findIndex(input => input.name === name));
  }
  app.canvas.selectNode(viewer);
}
