// A template opens where its note can be read: the editor fits all of it into the window, at a size at which it draws no
// text. What was saved of it later opens as it was left, as the editor has it.
import { app } from '../../scripts/app.js';

const MARK = 'latent_stereo_first_view'; // in what the shipped templates carry along

app.registerExtension({
  name: 'LatentStereo.TemplateView',
  afterConfigureGraph() {
    const { extra } = app.graph;
    if (!extra?.[MARK]) return;
    delete extra[MARK];
    app.canvas.ds.scale = extra.ds.scale;
    app.canvas.ds.offset = [...extra.ds.offset];
    app.canvas.setDirty(true, true);
  },
});
