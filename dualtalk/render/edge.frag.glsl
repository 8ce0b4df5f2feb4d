// Blends a pixel with its neighbour on the other side of an edge, by the share of the pixel that lies there.

uniform sampler2D image;
uniform ivec2 columns;  // the first of the viewport, and the first after it

noperspective in float distance_px;
flat in float slope;
flat in ivec2 across;

out vec4 pixel;

void main() {
    float from_edge = abs(distance_px);
    float inside = 0.5 * (1.0 + slope) - from_edge;
    float share = inside > slope ? 0.5 - from_edge : inside * inside / (2.0 * slope + 1e-6);
    ivec2 place = ivec2(gl_FragCoord.xy), neighbour = place + (distance_px > 0.0 ? -across : across);
    neighbour = clamp(neighbour, ivec2(columns.x, 0), ivec2(columns.y, textureSize(image, 0).y) - 1);
    pixel = mix(texelFetch(image, place, 0), texelFetch(image, neighbour, 0), share);
}
