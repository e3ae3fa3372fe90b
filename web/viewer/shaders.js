// What the graphics card computes. Coordinates: x from left to right and y from top to bottom of a view, 0 to 1.
// Disparity is in shares of the width, positive in front of the screen: what is at x in the left view is at x - d in
// the right one.

// A view may be a part of its texture (a clip's frame holds both): `starts` says where left, right and depth begin.
const VIEWS = `
uniform sampler2D leftView, rightView, depthMap;
uniform vec3 starts;
uniform float share; // of the texture's width that one of them takes

vec3 at(sampler2D image, float start, vec2 place, vec2 dx, vec2 dy) {
  float margin = 0.5 / float(textureSize(image, 0).x);
  float x = clamp(start + place.x * share, start + margin, start + share - margin);
  vec3 colour = textureGrad(image, vec2(x, place.y), dx, dy).rgb;
  return place.x < 0.0 || place.x > 1.0 ? vec3(0) : colour;
}`;

const CORNER = 'vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);';

// Both views on a flat picture that fills the viewport.
export const FLAT = {
  vertex: `#version 300 es
out vec2 uv;
void main() {
  ${CORNER}
  uv = vec2(corner.x, 1.0 - corner.y);
  gl_Position = vec4(corner * 2.0 - 1.0, 0, 1);
}`,
  fragment: `#version 300 es
precision highp float;
precision highp sampler2D;
in vec2 uv;
out vec4 colour;
uniform int view;
uniform float shift; // by which the views are moved apart, in shares of the width; positive moves all back
uniform float along; // where between the views, 0 left to 1 right
uniform float strength, onScreen; // d = strength * (depth - onScreen)
uniform mat3 leftMix, rightMix;
${VIEWS}

vec3 toLinear(vec3 c) { return mix(pow((c + 0.055) / 1.055, vec3(2.4)), c / 12.92, lessThanEqual(c, vec3(0.04045))); }
vec3 toSRGB(vec3 c) {
  return mix(1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, c * 12.92, lessThanEqual(c, vec3(0.0031308)));
}

float disparity(float x) {
  vec2 place = vec2(clamp(x, 0.0, 1.0), uv.y);
  return strength * (at(depthMap, starts.z, place, vec2(0), vec2(0)).r - onScreen);
}

// The view of an eye between the two: the nearest surface that its ray meets, searched from the front to the back.
// Beside the picture, and where the ray passes an edge, the left view does not show what it meets; the right one does.
vec3 between(vec2 dx, vec2 dy) {
  float x = uv.x + shift * (0.5 - along);
  float front = strength * (1.0 - onScreen), back = -strength * onScreen, before = front, met = back;
  for (int i = 0; i <= 64; i++) {
    float ray = mix(front, back, float(i) / 64.0);
    if (disparity(x + along * ray) >= ray) { met = ray; break; }
    before = ray;
  }
  for (int i = 0; i < 6; i++) {
    float ray = 0.5 * (before + met);
    if (disparity(x + along * ray) >= ray) met = ray; else before = ray;
  }
  float source = x + along * met, pixel = 1.0 / (share * float(textureSize(depthMap, 0).x));
  bool edge = disparity(source - pixel) - disparity(source + pixel) > pixel;
  if (along > 0.0 && (edge || source < 0.0 || source > 1.0)) {
    float behind = met;
    for (int i = 1; edge && i <= 6; i++) behind = min(behind, disparity(source + float(i) * pixel));
    return at(rightView, starts.y, vec2(x - (1.0 - along) * behind, uv.y), dx, dy);
  }
  return at(leftView, starts.x, vec2(source, uv.y), dx, dy);
}

void main() {
  vec2 scale = vec2(share, 1), dx = dFdx(uv) * scale, dy = dFdy(uv) * scale;
  vec3 one = at(leftView, starts.x, uv + vec2(shift * 0.5, 0), dx, dy);
  vec3 two = at(rightView, starts.y, uv - vec2(shift * 0.5, 0), dx, dy);
  if (view == 0) colour = vec4(one, 1);
  else if (view == 1) colour = vec4(two, 1);
  else if (view == 2) colour = vec4(toSRGB(clamp(leftMix * toLinear(one) + rightMix * toLinear(two), 0.0, 1.0)), 1);
  else if (view == 3) colour = vec4(abs(one - two), 1);
  else colour = vec4(between(dx, dy), 1);
}`,
};

// One view on a screen in a room, for one eye of a headset.
export const SCREEN = {
  vertex: `#version 300 es
out vec2 uv;
uniform mat4 projection, eye;
uniform vec3 size; // of the screen, and how far away it is, in metres
void main() {
  ${CORNER}
  uv = vec2(corner.x, 1.0 - corner.y);
  gl_Position = projection * eye * vec4((corner - 0.5) * size.xy, -size.z, 1);
}`,
  fragment: `#version 300 es
precision highp float;
precision highp sampler2D;
in vec2 uv;
out vec4 colour;
uniform int view;
uniform float shift;
${VIEWS}
void main() {
  vec2 scale = vec2(share, 1), dx = dFdx(uv) * scale, dy = dFdy(uv) * scale;
  colour = vec4(view == 1 ? at(rightView, starts.y, uv - vec2(shift * 0.5, 0), dx, dy)
                          : at(leftView, starts.x, uv + vec2(shift * 0.5, 0), dx, dy), 1);
}`,
};
