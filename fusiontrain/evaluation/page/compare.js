// The swipe and zoom comparison: two pictures in one frame, a divider between them.
"use strict";

class Comparison {
  // Lengths are CSS pixels of the stage; `zoom` is relative to the fit, `x` and `y` are where the
  // picture's top left corner lies.
  constructor() {
    const get = (id) => document.getElementById(id);
    this.stage = get("stage");
    this.handle = get("handle");
    this.divider = get("divider");
    this.scale = get("scale");
    this.sides = ["left", "right"].map((side) => ({
      pane: get(`pane-${side}`), img: get(`img-${side}`), tag: get(`tag-${side}`), name: "",
    }));
    this.size = [1, 1];
    this.split = 0.5;
    this.turn = 0;
    this.pointers = new Map();
    this.fit();
    this.listen();
    new ResizeObserver(() => this.resized()).observe(this.stage);
  }

  // `names` and `urls` of left and right; `grid` is the picture whose pixels the others lie on.
  async show(names, urls, grid, keep) {
    const turn = ++this.turn;
    const loaded = await Promise.all([...urls, grid].map(decoded));
    if (turn !== this.turn) return; // a later choice was quicker
    this.size = [loaded[2].naturalWidth, loaded[2].naturalHeight];
    this.sides.forEach((side, i) => {
      side.name = names[i];
      side.img.src = urls[i];
      side.img.alt = `${names[i]}, on the ${["left", "right"][i]}`;
      side.natural = loaded[i].naturalWidth;
      side.tag.textContent = names[i];
    });
    this.stage.style.setProperty("--ratio", String(this.size[0] / this.size[1]));
    this.stage.style.aspectRatio = `${this.size[0]} / ${this.size[1]}`;
    if (keep) this.draw(); else this.fit();
  }

  fit() {
    [this.zoom, this.x, this.y] = [1, 0, 0];
    this.draw();
  }

  // CSS pixels per pixel of the picture.
  get perPixel() {
    return (this.stage.clientWidth / this.size[0]) * this.zoom;
  }

  zoomTo(zoom, at) {
    const box = this.stage.getBoundingClientRect();
    const [cx, cy] = at || [box.width / 2, box.height / 2];
    const most = Math.max(4, (24 * this.size[0]) / Math.max(1, this.stage.clientWidth));
    const next = Math.min(Math.max(zoom, 1), most);
    const by = next / this.zoom;
    this.x = cx - (cx - this.x) * by;
    this.y = cy - (cy - this.y) * by;
    this.zoom = next;
    this.draw();
  }

  // One pixel of the picture on one of the screen, or the fit where that is larger.
  oneToOne() {
    const per = this.perPixel / this.zoom;
    this.zoomTo(1 / (per * devicePixelRatio));
  }

  moveBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.draw();
  }

  splitAt(share) {
    this.split = Math.min(Math.max(share, 0), 1);
    this.draw();
  }

  resized() {
    const width = this.stage.clientWidth;
    if (this.width && width) {
      this.x *= width / this.width;
      this.y *= width / this.width;
    }
    this.width = width;
    this.draw();
  }

  draw() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    this.x = Math.min(0, Math.max(this.x, width - width * this.zoom));
    this.y = Math.min(0, Math.max(this.y, height - height * this.zoom));
    for (const side of this.sides) {
      side.img.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
      const screen = ((width * this.zoom) / (side.natural || this.size[0])) * devicePixelRatio;
      side.img.style.imageRendering = screen > 1.001 ? "pixelated" : "auto";
    }
    const percent = Math.round(this.split * 100);
    this.sides[0].pane.style.clipPath = `inset(0 ${(1 - this.split) * 100}% 0 0)`;
    this.divider.style.left = `${this.split * 100}%`;
    this.handle.setAttribute("aria-valuenow", String(percent));
    this.handle.setAttribute(
      "aria-valuetext", `${percent} % ${this.sides[0].name}, ${100 - percent} % ${this.sides[1].name}`);
    this.scale.textContent = `${Math.round(this.perPixel * devicePixelRatio * 100)} %`;
    this.stage.classList.toggle("zoomed", this.zoom > 1);
  }

  listen() {
    const stage = this.stage;
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const step = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      this.zoomTo(this.zoom * Math.exp(-step / 300), this.place(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (event.target !== this.handle) this.fit();
    });
    stage.addEventListener("pointerdown", (event) => this.pressed(event));
    stage.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        this.dragging = false;
        stage.classList.remove("held");
      });
    }
    stage.addEventListener("keydown", (event) => this.typed(event));
    const press = (id, act) => document.getElementById(id).addEventListener("click", act);
    press("zoom-in", () => this.zoomTo(this.zoom * 1.5));
    press("zoom-out", () => this.zoomTo(this.zoom / 1.5));
    press("one", () => this.oneToOne());
    press("reset", () => this.fit());
  }

  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  pressed(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, this.place(event));
    // Where all of the picture is visible only the divider moves.
    const taken = this.zoom === 1 || event.target === this.handle || event.target === this.divider;
    this.dragging = taken && this.pointers.size === 1;
    // Where the divider was taken, so that it does not jump to the pointer.
    this.grip = this.place(event)[0] - this.split * this.stage.clientWidth;
    event.target.setPointerCapture(event.pointerId);
    this.stage.classList.add("held");
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.place(event);
    if (this.dragging) {
      this.splitAt((now[0] - this.grip) / this.stage.clientWidth);
    } else if (this.pointers.size === 1) {
      this.moveBy(now[0] - before[0], now[1] - before[1]);
    } else {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId);
      const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
      const middle = [(now[0] + other[1][0]) / 2, (now[1] + other[1][1]) / 2];
      this.zoomTo((this.zoom * apart(now, other[1])) / apart(before, other[1]), middle);
    }
    this.pointers.set(event.pointerId, now);
  }

  typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.1 : 0.02;
    const onHandle = {
      ArrowLeft: () => this.splitAt(this.split - step),
      ArrowRight: () => this.splitAt(this.split + step),
      ArrowDown: () => this.splitAt(this.split - step),
      ArrowUp: () => this.splitAt(this.split + step),
      PageDown: () => this.splitAt(this.split - 0.1),
      PageUp: () => this.splitAt(this.split + 0.1),
      Home: () => this.splitAt(0),
      End: () => this.splitAt(1),
    };
    const onStage = {
      ArrowLeft: () => this.moveBy(60, 0),
      ArrowRight: () => this.moveBy(-60, 0),
      ArrowUp: () => this.moveBy(0, 60),
      ArrowDown: () => this.moveBy(0, -60),
    };
    const anywhere = {
      "+": () => this.zoomTo(this.zoom * 1.5),
      "=": () => this.zoomTo(this.zoom * 1.5),
      "-": () => this.zoomTo(this.zoom / 1.5),
      0: () => this.fit(),
    };
    const own = event.target === this.handle ? onHandle : this.zoom > 1 ? onStage : {};
    const act = own[event.key] || anywhere[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

async function decoded(url) {
  const img = new Image();
  img.src = url;
  await img.decode();
  return img;
}
