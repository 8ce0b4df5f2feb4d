// The 3D scene in three.js: both people, the backdrop, and a camera for each viewport, with the renderer's own shaders.

import {
  BufferAttribute, BufferGeometry, GLSL3, InterleavedBuffer, InterleavedBufferAttribute, Matrix4, Mesh,
  PerspectiveCamera, RawShaderMaterial, Scene, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { backdropGeometry, backdropMaterial } from "./backdrop.js";

const PEOPLE = ["a", "b"];
const PRECISION = "precision highp float;\n";
const NEAR_M = 0.05, FAR_M = 20;
const MIN_DISTANCE_M = 0.22, MAX_DISTANCE_M = 4;
// Slower frames than this lower the resolution, down to half a rendered pixel per screen pixel.
const SLOW_MS = 30, SLOW_FRAMES = 12;
const MIN_PIXEL_RATIO = 0.5, MAX_PIXEL_RATIO = 2, PIXEL_RATIO_STEP = 0.8;

// Without a GPU, antialiasing would halve the frame rate.
function rendersInSoftware() {
  const probe = document.createElement("canvas").getContext("webgl2");
  const names = probe?.getExtension("WEBGL_debug_renderer_info");
  const renderer = probe?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : probe.RENDERER) ?? "";
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

export class Stage {
  // `box` is the element that the canvas fills; `changed` is called when a camera moved.
  constructor(box, data, arrays, people, changed) {
    Object.assign(this, { box, data, people, changed });
    this.renderer = new WebGLRenderer({ antialias: !rendersInSoftware(), powerPreference: "high-performance" });
    this.renderer.autoClear = false;
    // Objects are drawn in the order in which they were added; what fades out comes last.
    this.renderer.sortObjects = false;
    this.canvas = this.renderer.domElement;
    box.prepend(this.canvas);
    // Rendered pixels per screen pixel, for a still frame and during playback.
    this.stillPixelRatio = this.playPixelRatio = Math.min(devicePixelRatio || 1, MAX_PIXEL_RATIO);
    this.playing = false;
    this.slowFrames = 0;
    this.scene = new Scene();
    this.scene.matrixWorldAutoUpdate = false;
    this.backdrop = backdropMaterial();
    this.addMesh(backdropGeometry(), this.backdrop);
    this.bodies = PEOPLE.map((label, person) => this.body(people[person], arrays, arrays[`material_${label}`]));
    this.panes = [];
    this.show(data.presets[0].name);
  }

  material(name, more = {}) {
    const { shaders } = this.data;
    const uniforms = Object.fromEntries(["clip_from_world", "world_from_head"].map(key => [key, { value: new Matrix4() }]));
    for (const key of ["camera_m", "key_light", "rim_light"]) uniforms[key] = { value: new Vector3() };
    return new RawShaderMaterial({
      glslVersion: GLSL3, uniforms,
      vertexShader: PRECISION + shaders.light + shaders[`${name}.vert`],
      fragmentShader: PRECISION + shaders.light + shaders[`${name}.frag`],
      ...more,
    });
  }

  addMesh(geometry, material) {
    const mesh = new Mesh(geometry, material);
    mesh.frustumCulled = false;
    this.scene.add(mesh);
    return mesh;
  }

  // A person's meshes: head, eyes, and the hem, which fades into the backdrop and is drawn last.
  body(person, arrays, material) {
    const posed = new InterleavedBuffer(person.corners, 6), painted = new InterleavedBuffer(material, 11);
    const attributes = {
      position: new InterleavedBufferAttribute(posed, 3, 0), normal: new InterleavedBufferAttribute(posed, 3, 3),
      colour: new InterleavedBufferAttribute(painted, 4, 0), material: new InterleavedBufferAttribute(painted, 4, 4),
      iris: new InterleavedBufferAttribute(painted, 3, 8),
    };
    const materials = [this.material("head"), this.material("eye"), this.material("head", { transparent: true })];
    const meshes = ["head", "eyes", "hem"].map((part, number) => {
      const geometry = new BufferGeometry();
      for (const [name, attribute] of Object.entries(attributes)) geometry.setAttribute(name, attribute);
      geometry.setIndex(new BufferAttribute(arrays[part], 1));
      return this.addMesh(geometry, materials[number]);
    });
    return { posed, meshes, materials };
  }

  // ---- cameras

  // Selects a preset and resets its cameras.
  show(name) {
    this.preset = this.data.presets.find(preset => preset.name === name);
    for (const pane of this.panes) {
      pane.controls.dispose();
      pane.element.remove();
    }
    this.panes = this.preset.viewports.map(viewport => this.pane(viewport));
    this.resize();
  }

  pane(viewport) {
    const element = document.createElement("div");
    element.className = "pane";
    this.canvas.after(element);
    const camera = new PerspectiveCamera(180 / Math.PI * viewport.vertical_fov_rad, 1, NEAR_M, FAR_M);
    const controls = new OrbitControls(camera, element);
    Object.assign(controls, { minDistance: MIN_DISTANCE_M, maxDistance: MAX_DISTANCE_M, rotateSpeed: 0.7 });
    const pane = { viewport, element, camera, controls, adjusted: false };
    controls.addEventListener("start", () => { pane.adjusted = true; });
    controls.addEventListener("change", this.changed);
    element.addEventListener("dblclick", () => { this.reset(pane); this.changed(); });
    return pane;
  }

  // Resets a camera to the video's position, or further back if the viewport is too narrow.
  reset(pane) {
    const { viewport, camera, controls } = pane;
    const back = Math.max(viewport.min_aspect / camera.aspect, 1);
    controls.target.fromArray(viewport.target_m);
    camera.position.fromArray(viewport.position_m).sub(controls.target).multiplyScalar(back).add(controls.target);
    controls.update();
    pane.adjusted = false;
  }

  // Viewports are side by side, or one above the other on a narrow screen.
  rectangle({ left, right }) {
    const { width, height } = this;
    return width >= height
      ? { x: left * width, y: 0, width: (right - left) * width, height }
      : { x: 0, y: left * height, width, height: (right - left) * height };
  }

  resize(width = this.box.clientWidth, height = this.box.clientHeight) {
    Object.assign(this, { width, height });
    this.renderer.setPixelRatio(this.playing ? this.playPixelRatio : this.stillPixelRatio);
    this.renderer.setSize(width, height, false);
    this.box.classList.toggle("stacked", this.panes.length > 1 && width < height);
    for (const pane of this.panes) {
      pane.rectangle = this.rectangle(pane.viewport);
      const { x, y, width: wide, height: tall } = pane.rectangle;
      pane.element.style.cssText = `left:${x}px;top:${y}px;width:${wide}px;height:${tall}px`;
      pane.camera.aspect = wide / Math.max(tall, 1);
      pane.camera.updateProjectionMatrix();
      if (!pane.adjusted) this.reset(pane);
    }
    this.changed();
  }

  // ---- drawing

  pose(frame) {
    this.people.forEach((person, number) => {
      person.pose(frame);
      this.bodies[number].posed.needsUpdate = true;
    });
  }

  draw() {
    for (const pane of this.panes) this.drawPane(pane);
  }

  drawPane({ viewport, camera, rectangle }) {
    const { renderer } = this;
    camera.updateMatrixWorld();
    const clipFromWorld = new Matrix4().multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse);
    this.bodies.forEach(({ meshes, materials }, person) => {
      for (const mesh of meshes) mesh.visible = viewport.participants.includes(person);
      const { world_from_head, key_light, rim_light } = this.preset.participants[person];
      for (const { uniforms } of materials) {
        uniforms.clip_from_world.value.copy(clipFromWorld);
        uniforms.world_from_head.value.fromArray(world_from_head);
        uniforms.camera_m.value.copy(camera.position);
        uniforms.key_light.value.fromArray(key_light);
        uniforms.rim_light.value.fromArray(rim_light);
      }
    });
    const tints = viewport.tints.map(tint => tint.map(value => value / 255));
    this.backdrop.uniforms.left_tint.value.fromArray(tints[0]);
    this.backdrop.uniforms.right_tint.value.fromArray(tints.at(-1));
    this.backdrop.uniforms.falloff.value = viewport.falloff;
    const { x, y, width, height } = rectangle;
    renderer.setViewport(x, this.height - y - height, width, height);
    renderer.setScissor(x, this.height - y - height, width, height);
    renderer.setScissorTest(true);
    renderer.clear();
    renderer.render(this.scene, camera);
  }

  setPlaying(playing) {
    if (playing === this.playing) return;
    this.playing = playing;
    if (this.playPixelRatio !== this.stillPixelRatio) this.resize();
  }

  // Lowers the resolution if the frames of the playback take too long.
  recordFrameTime(frameMs) {
    this.slowFrames = frameMs > SLOW_MS ? this.slowFrames + 1 : Math.max(this.slowFrames - 1, 0);
    if (this.slowFrames < SLOW_FRAMES || this.playPixelRatio <= MIN_PIXEL_RATIO) return;
    this.playPixelRatio = Math.max(this.playPixelRatio * PIXEL_RATIO_STEP, MIN_PIXEL_RATIO);
    this.slowFrames = 0;
    this.resize();
  }

  // An image with the video's size and framing, for comparison with the video.
  picture(frame, width, height) {
    const { stillPixelRatio, playing } = this, size = [this.width, this.height];
    Object.assign(this, { stillPixelRatio: 1, playing: false });
    this.resize(width, height);
    this.pose(frame);
    this.draw();
    const address = this.canvas.toDataURL("image/png");
    Object.assign(this, { stillPixelRatio, playing });
    this.resize(...size);
    return address;
  }
}
