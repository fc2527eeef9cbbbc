// Swipe or side by side: two files in one place, at one scale. Text from files becomes text nodes.
"use strict";

const get = (id) => document.getElementById(id);

class Viewer {
  // `cx`, `cy`: PAN pixels at the middle of a panel; `scale`: CSS pixels a PAN pixel.
  constructor(scene) {
    this.scene = scene;
    this.stage = get("stage");
    this.canvas = get("canvas");
    this.context = this.canvas.getContext("2d");
    this.tiles = new Tiles(() => this.redraw(), (url) => this.tell(url));
    this.limits = new Map(); // address -> [[low, high]], null until it has come
    this.pointers = new Map();
    this.sides = { left: Math.min(1, scene.layers.length - 1), right: scene.layers.length - 1 };
    if (this.sides.left === this.sides.right) this.sides.left = 0;
    this.split = 0.5;
    this.seen = null; // the box that stretches are of; null: the whole scene
    this.fill();
    this.listen();
    new ResizeObserver(() => this.resized()).observe(this.stage);
    this.fit();
  }

  get beside() {
    return get("beside").checked;
  }

  get panel() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    return [this.beside ? width / 2 : width, height];
  }

  get fitting() {
    const [width, height] = this.panel;
    return Math.min(width / this.scene.width, height / this.scene.height);
  }

  fit() {
    [this.cx, this.cy, this.scale] = [this.scene.width / 2, this.scene.height / 2, this.fitting];
    this.fitted = true;
    this.redraw();
  }

  resized() {
    if (this.fitted) this.fit(); else this.redraw();
  }

  // The PAN pixel under a place of the stage.
  under([x, y]) {
    const [width, height] = this.panel;
    const inside = this.beside && x > width ? x - width : x;
    return [this.cx + (inside - width / 2) / this.scale, this.cy + (y - height / 2) / this.scale];
  }

  zoomTo(scale, at) {
    const [width, height] = this.panel;
    const place = at || [width / 2, height / 2];
    const before = this.under(place);
    this.scale = Math.min(Math.max(scale, this.fitting / 2), Math.max(32, this.fitting));
    const after = this.under(place);
    this.moveTo(this.cx + before[0] - after[0], this.cy + before[1] - after[1]);
  }

  moveTo(cx, cy) {
    this.fitted = false;
    this.cx = Math.min(Math.max(cx, 0), this.scene.width);
    this.cy = Math.min(Math.max(cy, 0), this.scene.height);
    this.redraw();
  }

  moveBy(dx, dy) {
    this.moveTo(this.cx - dx / this.scale, this.cy - dy / this.scale);
  }

  splitAt(share) {
    this.split = Math.min(Math.max(share, 0), 1);
    this.redraw();
  }

  put(side, number) {
    if (number >= this.scene.layers.length) return;
    this.sides[side] = number;
    get(side).value = String(number);
    this.redraw();
  }

  swap() {
    const { left, right } = this.sides;
    this.put("left", right);
    this.put("right", left);
  }

  // Bands of a file, or null where it lacks one.
  bandsOf(number) {
    const { length } = this.scene.layers[number].bands;
    if (length === 1) return [1];
    const bands = ["red", "green", "blue"].map((id) => Number(get(id).value));
    return Math.max(...bands) <= length ? bands : null;
  }

  // Limits of a file's stretch: [[low, high]] a band, or null until they have come.
  stretch(number, bands) {
    const { layers } = this.scene;
    const alike = number > 1 && layers[number].bands.length === layers[1].bands.length;
    const from = alike && get("whose").value === "ms" ? 1 : number;
    const box = this.seen ? `&box=${this.seen.join(",")}` : "";
    const url = `limits/${from}?bands=${bands.join(",")}&cut=${get("cut").value}${box}`;
    if (!this.limits.has(url)) {
      this.limits.set(url, null);
      fetch(url).then(async (answer) => {
        if (!answer.ok) throw new Error(await answer.text());
        this.limits.set(url, await answer.json());
      }).catch((error) => this.trouble(error.message)).finally(() => this.redraw());
    }
    return this.limits.get(url);
  }

  // A function from (level, column, row) to a tile's address, or null while it is not known.
  address(number) {
    const bands = this.bandsOf(number);
    const limits = bands && this.stretch(number, bands);
    if (!limits) return null;
    const [low, high] = [0, 1].map((end) => limits.map((ends) => ends[end]).join(","));
    const how = `bands=${bands.join(",")}&low=${low}&high=${high}&gamma=${get("gamma").value}`
      + `&smooth=${get("smooth").checked ? 1 : 0}`;
    return (level, col, row) => `tile/${number}/${level}/${col}/${row}?${how}`;
  }

  redraw() {
    if (this.asked) return;
    this.asked = true;
    this.stage.setAttribute("aria-busy", "true");
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  draw() {
    const dpr = devicePixelRatio;
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight]
      .map((size) => Math.round(size * dpr));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    this.context.clearRect(0, 0, width, height);
    const at = Math.round(width * (this.beside ? 0.5 : this.split));
    const areas = { left: [0, 0, at, height], right: [at, 0, width, height] };
    const wide = this.panel[0] * dpr;
    const wanted = [];
    for (const [side, area] of Object.entries(areas)) {
      const address = this.address(this.sides[side]);
      this.tag(side);
      if (!address) continue;
      const scale = this.scale * dpr;
      const from = this.beside && side === "right" ? wide : 0;
      const place = new Place(this.scene, scale, from + wide / 2 - this.cx * scale,
        height / 2 - this.cy * scale, area);
      wanted.push(...place.tiles().map(([col, row]) => address(place.level, col, row)));
      this.context.save();
      this.context.beginPath();
      this.context.rect(area[0], area[1], area[2] - area[0], area[3] - area[1]);
      this.context.clip();
      place.draw(this.context, this.tiles, address);
      this.context.restore();
    }
    this.tiles.want(wanted);
    this.told();
  }

  told() {
    const waiting = [...this.limits.values()].some((found) => found === null);
    this.stage.setAttribute("aria-busy", String(waiting || this.tiles.pending > 0));
    const share = this.beside ? 0.5 : this.split;
    const percent = Math.round(share * 100);
    const names = ["left", "right"].map((side) => this.scene.layers[this.sides[side]].name);
    get("divider").style.left = `${share * 100}%`;
    get("handle").setAttribute("aria-valuenow", String(percent));
    get("handle").setAttribute(
      "aria-valuetext", `${percent} % ${names[0]}, ${100 - percent} % ${names[1]}`);
    get("scale").textContent = `${Math.round(this.scale * devicePixelRatio * 1000) / 10} %`;
    if (this.last) {
      const [col, row] = this.under(this.last).map(Math.floor);
      get("place").textContent = `column ${col}, row ${row}`;
    }
    get("gamma-value").textContent = Number(get("gamma").value).toFixed(1);
    this.stage.classList.toggle("beside", this.beside);
  }

  tag(side) {
    const { name, bands } = this.scene.layers[this.sides[side]];
    const lacks = this.bandsOf(this.sides[side]) ? "" : `: has bands 1 to ${bands.length} alone`;
    get(`tag-${side}`).textContent = name + lacks;
  }

  async tell(url) {
    const answer = await fetch(url).catch(() => null);
    if (answer && answer.ok) return;
    this.trouble(answer ? await answer.text() : "the viewer has ended: start it again");
  }

  trouble(line) {
    get("trouble").textContent = line;
    get("trouble").hidden = false;
  }

  fill() {
    const { layers } = this.scene;
    const options = (texts) => texts.map((text, i) => new Option(text, String(i)));
    for (const side of ["left", "right"]) {
      get(side).append(...options(layers.map((layer) => layer.name)));
      get(side).value = String(this.sides[side]);
    }
    const many = layers.find((layer) => layer.bands.length > 1);
    get("bands").hidden = !many;
    ["red", "green", "blue"].forEach((id, i) => {
      const select = document.createElement("select");
      select.id = id;
      select.setAttribute("aria-label", `${id} band`);
      for (const [k, text] of (many ? many.bands : ["1"]).entries()) {
        select.append(new Option(text, String(k + 1)));
      }
      get("bands").append(select);
      if (many) select.value = String(usual(many.bands)[i]);
    });
    get("notes").textContent = this.scene.notes.join(" · ");
  }

  listen() {
    const press = (id, act) => get(id).addEventListener("click", act);
    const change = (ids, act) => ids.forEach((id) => get(id).addEventListener("input", act));
    change(["red", "green", "blue", "cut", "whose", "gamma", "smooth"], () => this.redraw());
    change(["beside"], () => (this.fitted ? this.fit() : this.redraw()));
    for (const side of ["left", "right"]) {
      change([side], (event) => this.put(side, Number(event.target.value)));
    }
    press("swap", () => this.swap());
    press("zoom-in", () => this.zoomTo(this.scale * 1.5));
    press("zoom-out", () => this.zoomTo(this.scale / 1.5));
    press("one", () => this.zoomTo(1 / devicePixelRatio));
    press("fit", () => this.fit());
    press("here", () => this.here());
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const step = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      this.zoomTo(this.scale * Math.exp(-step / 300), this.place(event));
    }, { passive: false });
    this.stage.addEventListener("dblclick", (event) => {
      if (!this.onDivider(event)) this.fit();
    });
    this.stage.addEventListener("pointerdown", (event) => this.pressed(event));
    this.stage.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        this.swiping = false;
        this.stage.classList.remove("held");
      });
    }
    document.addEventListener("keydown", (event) => this.typed(event));
  }

  // Stretches of what is seen now, or of the whole scene again.
  here() {
    const [width, height] = this.panel;
    const [left, top] = this.under([0, 0]);
    const corner = [left + width / this.scale, top + height / this.scale];
    const inside = [Math.max(0, left), Math.max(0, top),
      Math.min(this.scene.width, corner[0]), Math.min(this.scene.height, corner[1])];
    this.seen = this.seen ? null : inside.map((v) => Math.round(v * 1000) / 1000);
    get("here").setAttribute("aria-pressed", String(this.seen !== null));
    this.redraw();
  }

  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  onDivider(event) {
    return !this.beside && [get("handle"), get("divider")].includes(event.target);
  }

  pressed(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, this.place(event));
    this.swiping = this.onDivider(event) && this.pointers.size === 1;
    // Where the divider was taken, so that it does not jump to the pointer.
    this.grip = this.place(event)[0] - this.split * this.stage.clientWidth;
    event.target.setPointerCapture(event.pointerId);
    this.stage.classList.toggle("held", !this.swiping);
  }

  moved(event) {
    const now = this.place(event);
    this.last = now;
    this.redraw();
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId);
    if (this.swiping) {
      this.splitAt((now[0] - this.grip) / this.stage.clientWidth);
    } else if (!other) {
      this.moveBy(now[0] - before[0], now[1] - before[1]);
    } else {
      const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
      const middle = [(now[0] + other[1][0]) / 2, (now[1] + other[1][1]) / 2];
      this.zoomTo((this.scale * apart(now, other[1])) / apart(before, other[1]), middle);
    }
    this.pointers.set(event.pointerId, now);
  }

  typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
    const step = event.shiftKey ? 0.1 : 0.02;
    const onHandle = {
      ArrowLeft: () => this.splitAt(this.split - step),
      ArrowRight: () => this.splitAt(this.split + step),
      Home: () => this.splitAt(0),
      End: () => this.splitAt(1),
    };
    const anywhere = {
      ArrowLeft: () => this.moveBy(60, 0),
      ArrowRight: () => this.moveBy(-60, 0),
      ArrowUp: () => this.moveBy(0, 60),
      ArrowDown: () => this.moveBy(0, -60),
      "+": () => this.zoomTo(this.scale * 1.5),
      "=": () => this.zoomTo(this.scale * 1.5),
      "-": () => this.zoomTo(this.scale / 1.5),
      0: () => this.fit(),
      x: () => this.swap(),
      X: () => this.swap(),
    };
    const digit = /^Digit([1-9])$/.exec(event.code);
    const act = (event.target === get("handle") && onHandle[event.key])
      || (digit && (() => this.put(event.shiftKey ? "left" : "right", digit[1] - 1)))
      || anywhere[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

// Numbers of red, green and blue, by name, else as most sensors order their bands.
function usual(labels) {
  const named = (colour) =>
    1 + labels.findIndex((text) => new RegExp(`^\\d+ ${colour}(?!\\s*-?_?edge)`, "i").test(text));
  const found = ["red", "green", "blue"].map(named);
  if (found.every(Boolean)) return found;
  if (labels.length >= 8) return [5, 3, 2];
  return labels.length >= 3 ? [3, 2, 1] : [1, labels.length, labels.length];
}

fetch("scene").then((answer) => answer.json()).then((scene) => {
  globalThis.viewer = new Viewer(scene);
});
