// All contact with ComfyUI's editor. The viewer itself, in viewer/, knows none of it.
import { app } from '../../scripts/app.js';
import { api } from '../../scripts/api.js';
import { Viewer } from './viewer/panel.js';

const NODE = 'Stereo_StereoPreview';
const SIZE = [420, 420]; // of a new node
const BYPASSED = [2, 4]; // LiteGraph's modes never and bypass

app.registerExtension({
  name: 'LatentStereo.StereoPreview',
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const viewer = new Viewer({
      shown: () => outputs(node)?.stereo_views,
      url: file => api.apiURL(`/view?${new URLSearchParams(file)}`),
      read: name => node.properties?.[name],
      write: (name, value) => (node.properties[name] = value),
      putOnScreen: (depth, plain, force) => putOnScreen(node, depth, plain, force),
    });
    const options = { serialize: false, hideOnZoom: false, getMinHeight: () => 260 };
    node.stereoViewer = viewer;
    // In the classic canvas the wheel would not reach the graph from here.
    viewer.root.addEventListener('wheel', event => LiteGraph.vueNodesMode || app.canvas.processMouseWheel(event));
    node.addDOMWidget('stereo_view', 'stereo_view', viewer.root, options).serialize = false;
    const { onConfigure, onRemoved } = node;
    node.onConfigure = function (...given) {
      onConfigure?.apply(this, given);
      viewer.recall();
    };
    node.onRemoved = function (...given) {
      onRemoved?.apply(this, given);
      viewer.close();
    };
    node.setSize(node.size.map((side, axis) => Math.max(side, SIZE[axis])));
  },
});

// What the node put out last, after a change of tabs, too. Nodes of a subgraph go by both ids.
function outputs(node) {
  const { graph } = node;
  return graph && app.nodeOutputs?.[graph.isRootGraph === false ? `${graph.id}:${node.id}` : node.id];
}

// The nodes before `node`, nearest first, into subgraphs and out of them.
export function* upstream(node) {
  const graphs = [app.rootGraph ?? app.graph, ...((app.rootGraph ?? app.graph).subgraphs?.values() ?? [])];
  const found = new Set([node]);
  for (const { graph, inputs } of found) {
    for (const { link } of inputs ?? []) {
      if (link == null) continue;
      const from = graph.getNodeById((graph.links.get?.(link) ?? graph.links[link])?.origin_id);
      const outside = () => graphs.flatMap(each => each.nodes.filter(one => one.subgraph === graph));
      const next = from ? [from, ...(from.subgraph?.nodes ?? [])] : outside();
      next.forEach(one => found.add(one));
    }
  }
  found.delete(node);
  yield* found;
}

const widgetOf = (node, name) => node.widgets?.find(widget => widget.name === name);
const isLinked = (node, name) => node.inputs?.some(input => input.widget?.name === name && input.link != null);

// Write a depth into the `convergence` of the nearest node upstream; returns {done: {value} or undefined, text}.
function putOnScreen(node, depth, plain, force) {
  const refused = text => ({ text });
  const target = [...upstream(node)].find(one => !BYPASSED.includes(one.mode) && widgetOf(one, 'convergence'));
  if (!target) return refused('No node before this one has a convergence. Make the views with Stereo Strength.');
  const title = target.title, screen = widgetOf(target, 'screen'), elsewhere = 'change it where it comes from.';
  if (isLinked(target, 'convergence')) return refused(`convergence of ${title} is linked: ${elsewhere}`);
  if (screen && screen.value !== 'value') {
    if (isLinked(target, 'screen')) return refused(`screen of ${title} is linked, and is not value: ${elsewhere}`);
    const found = `screen of ${title} is ${screen.value}, which finds the depth itself.`;
    if (!force) return refused(`${found} Ctrl+Shift+click sets it to value.`);
    assign(target, screen, 'value');
  }
  const exponent = widgetOf(target, 'exponent')?.value ?? 1;
  if (plain) depth = (widgetOf(target, 'invert')?.value ? 1 - depth : depth) ** exponent;
  const value = Math.round(Math.max(0, Math.min(1, depth)) * 100) / 100;
  assign(target, widgetOf(target, 'convergence'), value);
  const text = `convergence of ${title} is now ${value}. Run the workflow to make the views with it.`;
  return { done: { value }, text };
}

function assign(node, widget, value) {
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  node.graph.setDirtyCanvas(true, true);
}
