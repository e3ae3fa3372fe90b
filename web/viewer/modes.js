// The ways to show two views, and the glasses: data alone. Names are those of stereo_core.formats where it has them.

// What the shader draws in one panel.
export const LEFT = 0, RIGHT = 1, ANAGLYPH = 2, DIFFERENCE = 3, BETWEEN = 4;

export const MODES = {
  wiggle: { label: 'Wiggle', hint: 'Left and right in turn: depth without glasses', panels: [LEFT] },
  anaglyph_dubois: { label: 'Anaglyph red-cyan', hint: 'For red-cyan glasses', panels: [ANAGLYPH] },
  anaglyph_green_magenta: { label: 'Anaglyph green-magenta', hint: 'For green-magenta glasses', panels: [ANAGLYPH] },
  anaglyph_amber_blue: { label: 'Anaglyph amber-blue', hint: 'For amber-blue glasses', panels: [ANAGLYPH] },
  full_sbs: { label: 'Side by side', hint: 'Left view on the left: look through the screen', panels: [LEFT, RIGHT] },
  cross_eyed: { label: 'Cross-eyed', hint: 'Right view on the left: cross your eyes', panels: [RIGHT, LEFT] },
  parallax: { label: 'Parallax', hint: 'Move the pointer sideways; needs depth', panels: [BETWEEN], depth: true },
  difference: { label: 'Difference', hint: 'Where the views differ', panels: [DIFFERENCE] },
  left: { label: 'Left', hint: 'The left view', panels: [LEFT] },
  right: { label: 'Right', hint: 'The right view', panels: [RIGHT] },
};

// Matrices of the left and the right view, row by row: those of Dubois in stereo_core/anaglyph.py, for linear light.
export const GLASSES = {
  anaglyph_dubois: [
    [0.437, 0.449, 0.164, -0.062, -0.062, -0.024, -0.048, -0.050, -0.017],
    [-0.011, -0.032, -0.007, 0.377, 0.761, 0.009, -0.026, -0.093, 1.234],
  ],
  anaglyph_green_magenta: [
    [-0.062, -0.158, -0.039, 0.284, 0.668, 0.143, -0.015, -0.027, 0.021],
    [0.529, 0.705, 0.024, -0.016, -0.015, -0.065, 0.009, 0.075, 0.937],
  ],
  anaglyph_amber_blue: [
    [1.062, -0.205, 0.299, -0.026, 0.908, 0.068, -0.038, -0.173, 0.022],
    [-0.016, -0.123, -0.017, 0.006, 0.062, -0.017, 0.094, 0.185, 0.911],
  ],
};

// The largest rectangle of the views' shape in each panel of a picture of width x height, from left to right, in whole
// pixels from the upper left corner.
export function places(mode, width, height, aspect) {
  const { panels } = MODES[mode];
  const room = width / panels.length;
  const wide = Math.round(Math.min(room, height * aspect)), high = Math.round(Math.min(height, room / aspect));
  return panels.map((view, index) => ({
    view,
    x: Math.round(index * room + (room - wide) / 2),
    y: Math.round((height - high) / 2),
    width: Math.max(1, wide),
    height: Math.max(1, high),
  }));
}
