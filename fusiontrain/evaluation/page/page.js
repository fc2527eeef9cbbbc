// Choosers, error maps and bars. Text from the data becomes text nodes only.
"use strict";

(() => {
  document.documentElement.classList.add("js"); // before anything is measured
  const get = (id) => document.getElementById(id);
  const { views, kinds, better, protocols } = JSON.parse(get("views").textContent);
  const direction = (index) => better[index] || "lower";
  const ORDERS = {
    lower: (value) => value, higher: (value) => -value, one: (value) => Math.abs(value - 1),
    any: (value) => value,
  };
  const MEANINGS = {
    lower: "↓ lower is better", higher: "↑ higher is better", one: "→1 nearest one is better",
    any: "neither more nor less is better",
  };
  const comparison = new Comparison();
  // It opens on what a user gets: the first scene at full resolution, where that is shown.
  const opening = views.find((v) => v.scene === views[0].scene && v.protocol === "full") || views[0];
  const chosen = { scene: opening.scene, protocol: opening.protocol, left: "", right: "" };
  const NOT_METHODS = ["PAN", "MS", "truth"];
  let shown = { number: -1, pictures: {}, errors: {} };

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const number = () =>
    views.findIndex((v) => v.scene === chosen.scene && v.protocol === chosen.protocol);
  const view = () => views[number()];
  const source = (base64) => `data:image/webp;base64,${base64}`;
  const kind = (name) => kinds[name] || "plain";

  function rank(index, of) {
    const ours = Object.entries(of.indices)
      .map(([method, values]) => ({
        method, value: values[index] ?? null, origin: of.origins[method] || "",
      }));
    const known = (row) => row.value !== null;
    const place = ORDERS[direction(index)];
    const order = (a, b) => place(a.value) - place(b.value);
    return [
      ...ours.filter((r) => known(r) && !r.origin).sort(order),
      ...ours.filter((r) => !known(r) && !r.origin),
      ...ours.filter((r) => known(r) && r.origin).sort(order),
    ];
  }

  const indexNames = (of) => [...new Set(Object.values(of.indices).flatMap(Object.keys))];

  // The network that was given first, and at full resolution, where no index tells what looks
  // good, GSA; else the best of the networks against the best of the classical methods.
  function defaults(of) {
    const names = of.captions;
    const [first] = indexNames(of);
    const byRank = first ? rank(first, of).filter((r) => r.value !== null && !r.origin) : [];
    const listed = (test) => byRank.map((r) => r.method).filter((m) => names.includes(m) && test(m));
    const full = of.protocol === "full";
    const right = (full && names.find((n) => kind(n) === "network"))
      || listed((m) => kind(m) === "network")[0] || listed(() => true)[0] || names.at(-1);
    const left = (full && right !== "GSA" && names.find((n) => n === "GSA"))
      || listed((m) => m !== right && kind(m) !== "network")[0]
      || names.find((n) => n !== right);
    return { left, right };
  }

  function fillSelect(select, groups, value) {
    select.replaceChildren(...groups.filter(([, options]) => options.length).map(([label, options]) => {
      const group = make("optgroup");
      group.label = label;
      group.append(...options.map((name) => {
        const option = make("option", "", name);
        option.value = name;
        return option;
      }));
      return group;
    }));
    select.value = value;
  }

  function fillScenes() {
    const sensors = new Map();
    for (const { sensor, scene } of views) {
      if (!sensors.has(sensor)) sensors.set(sensor, new Set());
      sensors.get(sensor).add(scene);
    }
    fillSelect(get("scene"), [...sensors].map(([s, scenes]) => [s, [...scenes]]), chosen.scene);
  }

  function fillProtocols() {
    const field = get("protocol");
    for (const [value, text] of Object.entries(protocols)) {
      const label = make("label");
      const radio = make("input");
      radio.type = "radio";
      radio.name = "protocol";
      radio.value = value;
      radio.addEventListener("change", () => choose({ protocol: value }));
      label.append(radio, make("span", "", text));
      field.append(label);
    }
  }

  function fillControls() {
    const of = view();
    for (const radio of document.querySelectorAll("#protocol input")) {
      radio.checked = radio.value === chosen.protocol;
      radio.disabled = !views.some((v) => v.scene === chosen.scene && v.protocol === radio.value);
    }
    get("note").textContent = of.note;
    const names = of.captions;
    const methods = (test) => names.filter((n) => !NOT_METHODS.includes(n) && test(n));
    const ours = (k) => methods((n) => kind(n) === k && !of.origins[n]);
    const groups = [
      ["scene", names.filter((n) => NOT_METHODS.includes(n))],
      ["network", ours("network")],
      ["classical", ours("plain")],
      ["classical, softened PAN", ours("soft")],
      ["classical, registered PAN", ours("registered")],
      ["published", methods((n) => of.origins[n])],
    ];
    for (const side of ["left", "right"]) fillSelect(get(side), groups, chosen[side]);
  }

  // The parsed block of one view only: the others stay text.
  function load() {
    const wanted = number();
    if (shown.number !== wanted) {
      shown = { number: wanted, ...JSON.parse(get(`pictures-${wanted}`).textContent) };
    }
    return shown;
  }

  function drawMaps() {
    const { errors } = load();
    const any = Object.keys(errors).length > 0;
    get("errors").classList.toggle("empty", !any);
    if (!any) {
      get("maps").replaceChildren(make("p", "none", "No truth is known here, so no error either."));
      return;
    }
    const maps = ["left", "right"].map((side) => {
      const figure = make("figure", side);
      const data = errors[chosen[side]];
      if (data) {
        const img = make("img");
        img.src = source(data);
        img.alt = `Error map of ${chosen[side]}`;
        figure.append(img);
      } else {
        figure.append(make("p", "none", `No error map of ${chosen[side]}.`));
      }
      figure.append(make("figcaption", "", chosen[side]));
      return figure;
    });
    get("maps").replaceChildren(...maps);
  }

  // Zero is where bars begin, unless all are nearly as long: then the axis is cut, and says so.
  function axisOf(values) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const cut = low > 0 && low > 0.6 * high && high > low;
    return { from: cut ? low - 0.2 * (high - low) : Math.min(0, low), to: high, cut };
  }

  function figures(value) {
    const size = Math.abs(value);
    return size < 2 ? 4 : size < 20 ? 3 : size < 200 ? 2 : 1;
  }

  function drawRow(row, axis, digits) {
    const published = row.origin ? " published" : "";
    const line = make("li", `${kind(row.method)}${published}`);
    for (const side of ["left", "right"]) {
      if (chosen[side] === row.method) line.classList.add("chosen", side);
    }
    const name = make("button", "name", row.method);
    name.type = "button";
    name.title = row.origin ? `published: ${row.origin}` : `${row.method}, measured here`;
    name.disabled = !view().captions.includes(row.method);
    name.addEventListener("click", (event) =>
      choose({ [event.shiftKey ? "left" : "right"]: row.method }));
    const track = make("span", "track");
    const value = make("span", "value", row.value === null ? "–" : row.value.toFixed(digits));
    if (row.value !== null) {
      const fill = make("span", "fill");
      const share = (row.value - axis.from) / (axis.to - axis.from || 1);
      fill.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
      track.append(fill);
    }
    line.append(name, track, value);
    return line;
  }

  function drawBars() {
    const of = view();
    get("bars-of").textContent = `${of.scene}, ${protocols[of.protocol]}`;
    const charts = indexNames(of).map((index) => {
      const rows = rank(index, of);
      const values = rows.filter((r) => r.value !== null).map((r) => r.value);
      const chart = make("figure", "chart");
      const head = make("figcaption", "", index);
      head.append(make("small", "", MEANINGS[direction(index)]));
      chart.append(head);
      if (!values.length) {
        chart.append(make("p", "none", "No value."));
        return chart;
      }
      const axis = axisOf(values);
      const digits = figures([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]);
      const list = make("ol", axis.cut ? "rows cut" : "rows");
      list.append(...rows.map((row) => drawRow(row, axis, digits)));
      const ends = `${axis.from.toFixed(digits)} to ${axis.to.toFixed(digits)}`;
      chart.append(list, make("p", "axis", axis.cut ? `axis cut: ${ends}` : `axis: ${ends}`));
      return chart;
    });
    get("charts").replaceChildren(...charts);
    const all = Object.keys(of.indices);
    for (const key of document.querySelectorAll("#legend .key")) {
      const [, name] = key.classList;
      key.hidden = !all.some((m) => (of.origins[m] ? "published" : kind(m)) === name);
    }
  }

  function draw(keep) {
    const data = load().pictures;
    const names = [chosen.left, chosen.right];
    const grid = data.PAN || data[names[1]];
    comparison.show(names, names.map((n) => source(data[n])), source(grid), keep);
    drawMaps();
    drawBars();
  }

  function choose(wish) {
    const before = number();
    Object.assign(chosen, wish);
    if (number() < 0) chosen.protocol = views.find((v) => v.scene === chosen.scene).protocol;
    const of = view();
    const usual = defaults(of);
    for (const side of ["left", "right"]) {
      if (!of.captions.includes(chosen[side])) chosen[side] = usual[side];
    }
    fillControls();
    draw(number() === before);
  }

  for (const key of ["scene", "left", "right"]) {
    get(key).addEventListener("change", (event) => choose({ [key]: event.target.value }));
  }
  get("swap").addEventListener("click", () =>
    choose({ left: chosen.right, right: chosen.left }));
  fillScenes();
  fillProtocols();
  choose({});
})();
