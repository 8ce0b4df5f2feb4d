// What is seen: both people, the backdrop, and a camera for each view, in three.js, with the renderer's own shaders.

import {
  BufferAttribute, BufferGeometry, GLSL3, InterleavedBuffer, InterleavedBufferAttribute, Matrix4, Mesh,
  PerspectiveCamera, RawShaderMaterial, Scene, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { backdropGeometry, backdropMaterial } from "./backdrop.js";

const PEOPLE = ["a", "b"];
const PRECISION = "precision highp float;\n";
const NEAR_M = 0.05, FAR_M = 20;
const NEAREST_M = 0.22, FARTHEST_M = 4;
// Drawing slower than this makes the picture coarser, down to half a pixel a pixel.
const SLOW_MS = 30, SLOW_FRAMES = 12;
const COARSEST = 0.5, FINEST = 2, COARSER = 0.8;

// Where no graphics card helps, smooth edges would halve the frames a second.
function drawsInSoftware() {
  const probe = document.createElement("canvas").getContext("webgl2");
  const names = probe?.getExtension("WEBGL_debug_renderer_info");
  const renderer = probe?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : probe.RENDERER) ?? "";
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

export class Stage {
  // `box` is the element the picture fills; `changed` is called when a camera was moved.
  constructor(box, data, arrays, people, changed) {
    Object.assign(this, { box, data, people, changed });
    this.renderer = new WebGLRenderer({ antialias: !drawsInSoftware(), powerPreference: "high-performance" });
    this.renderer.autoClear = false;
    // Drawn in the order they were added, what fades last.
    this.renderer.sortObjects = false;
    this.canvas = this.renderer.domElement;
    box.prepend(this.canvas);
    // Pixels a pixel: what a picture that stands still has, and one that plays.
    this.finest = this.sharpness = Math.min(devicePixelRatio || 1, FINEST);
    this.playing = false;
    this.slowFrames = 0;
    this.scene = new Scene();
    this.scene.matrixWorldAutoUpdate = false;
    this.backdrop = backdropMaterial();
    this.addMesh(backdropGeometry(), this.backdrop);
    this.bodies = PEOPLE.map((label, person) => this.body(people[person], arrays, arrays[`paint_${label}`]));
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
  body(person, arrays, paint) {
    const moved = new InterleavedBuffer(person.corners, 6), painted = new InterleavedBuffer(paint, 11);
    const attributes = {
      position: new InterleavedBufferAttribute(moved, 3, 0), normal: new InterleavedBufferAttribute(moved, 3, 3),
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
    return { moved, meshes, materials };
  }

  // ---- cameras

  // Take up a preset; its cameras stand as in the film.
  show(name) {
    this.preset = this.data.presets.find(preset => preset.name === name);
    for (const pane of this.panes) {
      pane.controls.dispose();
      pane.element.remove();
    }
    this.panes = this.preset.views.map(view => this.pane(view));
    this.resize();
  }

  pane(view) {
    const element = document.createElement("div");
    element.className = "pane";
    this.canvas.after(element);
    const camera = new PerspectiveCamera(180 / Math.PI * view.vertical_view_rad, 1, NEAR_M, FAR_M);
    const controls = new OrbitControls(camera, element);
    Object.assign(controls, { minDistance: NEAREST_M, maxDistance: FARTHEST_M, rotateSpeed: 0.7 });
    const pane = { view, element, camera, controls, moved: false };
    controls.addEventListener("start", () => { pane.moved = true; });
    controls.addEventListener("change", this.changed);
    element.addEventListener("dblclick", () => { this.reset(pane); this.changed(); });
    return pane;
  }

  // Back to where the film's camera stands, or further back where the view is too narrow for what it shows.
  reset(pane) {
    const { view, camera, controls } = pane;
    const back = Math.max(view.narrowest_aspect / camera.aspect, 1);
    controls.target.fromArray(view.target_m);
    camera.position.fromArray(view.position_m).sub(controls.target).multiplyScalar(back).add(controls.target);
    controls.update();
    pane.moved = false;
  }

  // Two portraits stand side by side, or on a narrow screen one above the other.
  rectangle({ left, right }) {
    const { width, height } = this;
    return width >= height
      ? { x: left * width, y: 0, width: (right - left) * width, height }
      : { x: 0, y: left * height, width, height: (right - left) * height };
  }

  resize(width = this.box.clientWidth, height = this.box.clientHeight) {
    Object.assign(this, { width, height });
    this.renderer.setPixelRatio(this.playing ? this.sharpness : this.finest);
    this.renderer.setSize(width, height, false);
    this.box.classList.toggle("stacked", this.panes.length > 1 && width < height);
    for (const pane of this.panes) {
      pane.rectangle = this.rectangle(pane.view);
      const { x, y, width: wide, height: tall } = pane.rectangle;
      pane.element.style.cssText = `left:${x}px;top:${y}px;width:${wide}px;height:${tall}px`;
      pane.camera.aspect = wide / Math.max(tall, 1);
      pane.camera.updateProjectionMatrix();
      if (!pane.moved) this.reset(pane);
    }
    this.changed();
  }

  // ---- drawing

  pose(frame) {
    this.people.forEach((person, number) => {
      person.pose(frame);
      this.bodies[number].moved.needsUpdate = true;
    });
  }

  draw() {
    for (const pane of this.panes) this.drawPane(pane);
  }

  drawPane({ view, camera, rectangle }) {
    const { renderer } = this;
    camera.updateMatrixWorld();
    const clipFromWorld = new Matrix4().multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse);
    this.bodies.forEach(({ meshes, materials }, person) => {
      for (const mesh of meshes) mesh.visible = view.people.includes(person);
      const { world_from_head, key_light, rim_light } = this.preset.people[person];
      for (const { uniforms } of materials) {
        uniforms.clip_from_world.value.copy(clipFromWorld);
        uniforms.world_from_head.value.fromArray(world_from_head);
        uniforms.camera_m.value.copy(camera.position);
        uniforms.key_light.value.fromArray(key_light);
        uniforms.rim_light.value.fromArray(rim_light);
      }
    });
    const tints = view.tints.map(tint => tint.map(value => value / 255));
    this.backdrop.uniforms.left_tint.value.fromArray(tints[0]);
    this.backdrop.uniforms.right_tint.value.fromArray(tints.at(-1));
    this.backdrop.uniforms.falloff.value = view.falloff;
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
    if (this.sharpness !== this.finest) this.resize();
  }

  // Told how long each frame of a film that plays took.
  took(frameMs) {
    this.slowFrames = frameMs > SLOW_MS ? this.slowFrames + 1 : Math.max(this.slowFrames - 1, 0);
    if (this.slowFrames < SLOW_FRAMES || this.sharpness <= COARSEST) return;
    this.sharpness = Math.max(this.sharpness * COARSER, COARSEST);
    this.slowFrames = 0;
    this.resize();
  }

  // A picture of the film's size and framing, for whoever compares the two.
  picture(frame, width, height) {
    const { finest, playing } = this, size = [this.width, this.height];
    Object.assign(this, { finest: 1, playing: false });
    this.resize(width, height);
    this.pose(frame);
    this.draw();
    const address = this.canvas.toDataURL("image/png");
    Object.assign(this, { finest, playing });
    this.resize(...size);
    return address;
  }
}
