in vec4 seen;

out vec4 pixel;

void main() {
    pixel = seen;
}
