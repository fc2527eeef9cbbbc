// Tiles of a file: asked for once, kept while they fit, drawn from what has come so far.
"use strict";

class Tiles {
  // `came` is called when a tile has come, `failed` with its address when it cannot.
  constructor(came, failed) {
    this.most = 600;
    this.atOnce = 6;
    this.kept = new Map(); // address -> image, the last used at the end
    this.failed = new Set();
    this.going = new Map();
    this.wanted = [];
    this.came = came;
    this.fail = failed;
  }

  get pending() {
    return this.wanted.length + this.going.size;
  }

  // The image, if it is here.
  peek(url) {
    const image = this.kept.get(url);
    if (image) {
      this.kept.delete(url);
      this.kept.set(url, image);
    }
    return image;
  }

  // What the view is made of now; what is no longer wanted and not begun is forgotten.
  want(urls) {
    this.wanted = urls.filter((url) =>
      !this.kept.has(url) && !this.failed.has(url) && !this.going.has(url));
    this.next();
  }

  next() {
    while (this.going.size < this.atOnce && this.wanted.length) {
      const url = this.wanted.shift();
      const image = new Image();
      this.going.set(url, image);
      image.src = url;
      image.decode().then(() => this.keep(url, image), () => {
        this.failed.add(url);
        this.fail(url);
      }).finally(() => {
        this.going.delete(url);
        this.next();
        this.came();
      });
    }
  }

  keep(url, image) {
    this.kept.set(url, image);
    for (const old of this.kept.keys()) {
      if (this.kept.size <= this.most) break;
      this.kept.delete(old);
    }
  }
}

// Where one picture lies on the screen; lengths are device pixels, x and y of its corner.
class Place {
  constructor(scene, scale, x, y, area) {
    Object.assign(this, { scene, scale, x, y, area });
    const finest = Math.floor(Math.log2(1 / scale) + 1e-6);
    this.level = Math.min(Math.max(0, finest), scene.levels);
  }

  // [column, row] of every tile that is seen, from the middle outwards.
  tiles() {
    const side = this.scene.side * 2 ** this.level;
    const [left, top, right, bottom] = this.area;
    const from = (low, corner) => Math.max(0, Math.floor((low - corner) / this.scale / side));
    const to = (high, corner, size) =>
      Math.min(Math.ceil(size / side), Math.ceil((high - corner) / this.scale / side));
    const found = [];
    for (let row = from(top, this.y); row < to(bottom, this.y, this.scene.height); row++) {
      for (let col = from(left, this.x); col < to(right, this.x, this.scene.width); col++) {
        found.push([col, row]);
      }
    }
    const middle = [left + right - 2 * this.x, top + bottom - 2 * this.y]
      .map((v) => v / 2 / this.scale / side - 0.5);
    const far = ([col, row]) => Math.hypot(col - middle[0], row - middle[1]);
    return found.sort((a, b) => far(a) - far(b));
  }

  // Edges are rounded, so that neighbours meet on a pixel of the screen.
  draw(context, tiles, address) {
    const side = this.scene.side * 2 ** this.level;
    context.imageSmoothingEnabled = this.scale < 1;
    for (const [col, row] of this.tiles()) {
      const [x0, x1] = [col, col + 1].map((v) => Math.round(this.x + v * side * this.scale));
      const [y0, y1] = [row, row + 1].map((v) => Math.round(this.y + v * side * this.scale));
      const own = tiles.peek(address(this.level, col, row));
      if (own) {
        context.drawImage(own, x0, y0, x1 - x0, y1 - y0);
        continue;
      }
      for (let up = 1; up + this.level <= this.scene.levels; up++) { // a part of a coarser one
        const image = tiles.peek(address(this.level + up, col >> up, row >> up));
        if (!image) continue;
        const part = this.scene.side / 2 ** up;
        const [px, py] = [col, row].map((v) => (v % 2 ** up) * part);
        context.drawImage(image, px, py, part, part, x0, y0, x1 - x0, y1 - y0);
        break;
      }
    }
  }
}
