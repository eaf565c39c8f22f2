"use strict";

// The page of `mam_keras.direct`. The server has the state; this shows it, and sends what a person changes.
const SVG = "http://www.w3.org/2000/svg";
const ALL = ""; // the place that holds for all images
const STEP = 10; // of the 1000 that a side of the image has: how far an arrow key goes
const SMALLEST = 10;
const RUNS = { before: "before", directed: "directed", control: "fine-tuned without regions" };

const find = (id) => document.getElementById(id);
const percent = (share, digits = 1) => (share === null ? "not known" : `${(100 * share).toFixed(digits)} %`);
const within = (value, low, high) => Math.min(Math.max(value, low), high);
const copy = (value) => JSON.parse(JSON.stringify(value));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function table(place, head, rows) {
  const cell = (tag, text, column) => make(tag, { class: column ? "number" : "", scope: tag === "th" && "row" }, text);
  const header = make("tr", {}, ...head.map((text, column) => make("th", { scope: "col", class: column ? "number" : "" }, text)));
  const body = rows.map((row) => make("tr", {}, ...row.map((text, column) => cell(column ? "td" : "th", text, column))));
  place.replaceChildren(make("thead", {}, header), make("tbody", {}, ...body));
}

// Asking the server. What it refuses is shown, in its own words.
async function ask(path, told) {
  const options = told === undefined ? {} : { method: "POST", body: JSON.stringify(told), headers: { "Content-Type": "application/json" } };
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
  return found;
}

function complain(error) {
  find("problem").textContent = error === null ? "" : error instanceof TypeError ? "The server does not answer: is it still running? Nothing that was marked is lost." : error.message;
  find("problem").hidden = error === null;
}

// Marks of one attribute: {template: {presets, rectangles, polygons}, images: {id: {rectangles, polygons}}}.
const nothing = () => ({ template: { presets: [], rectangles: [], polygons: [] }, images: {} });

class Page {
  constructor() {
    Object.assign(this, { about: null, state: null, attribute: null, place: ALL, mark: nothing(), undone: [], seen: 0, saving: null, dirty: false, result: null });
    this.canvas = new Canvas(this);
  }

  async start() {
    this.about = await ask("about");
    this.state = await ask("state");
    this.list();
    this.controls();
    const wished = decodeURIComponent(location.hash.slice(1));
    const first = this.about.attributes.find(({ name }) => name === wished) ?? this.about.attributes[0];
    await this.choose(first.name);
    this.show();
    setInterval(() => this.poll(), 1000);
  }

  // The list of attributes, and which of them is looked at.
  list() {
    const { attributes, split } = this.about;
    find("order-note").textContent = `Those first that lean most on another place (energy of the map in their own) or on another attribute (accuracy lost in a group of ${split} images).`;
    const items = attributes.map(({ name, ratio, lost, without }) => {
      const said = [];
      if (ratio !== null) said.push(`${ratio.toFixed(1)} times chance in its place`);
      if (lost !== null && lost > 0) said.push(`${(100 * lost).toFixed(1)} points lost ${without}`);
      const button = make("button", { type: "button", onclick: () => this.choose(name, true) }, name, make("small", {}, said.join("; ") || "nothing measured speaks against it"));
      button.dataset.name = name;
      return make("li", {}, button);
    });
    find("attributes").replaceChildren(...items);
  }

  async choose(name, byHand = false) {
    await this.saved();
    this.attribute = this.about.attributes.find((one) => one.name === name);
    history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    for (const button of find("attributes").querySelectorAll("button")) button.setAttribute("aria-current", button.dataset.name === name);
    find("look-title").textContent = name;
    Object.assign(this, { place: ALL, undone: [] });
    this.takeMark();
    if (byHand) find("look-title").focus();
    await this.look();
  }

  takeMark() {
    this.mark = copy(this.state.marks[this.attribute.name] ?? nothing());
    this.seen = this.state.seen[this.attribute.name] ?? 0;
  }

  async look() {
    const { k, name, accuracy, ratio, other, together } = this.attribute;
    find("look").setAttribute("aria-busy", "true");
    let found;
    try {
      found = await ask(`attribute/${k}/${encodeURIComponent(this.state.wanted.map)}`);
      complain(null);
    } catch (error) {
      return complain(error);
    }
    if (name !== this.attribute.name) return;
    this.looked = found;
    const place = ratio === null ? "" : ` Its map has ${ratio.toFixed(1)} times the energy of chance in its place, as the report measured.`;
    find("look-lead").textContent = `${percent(accuracy)} of the answers on ${this.about.images} ${this.about.split} images are right.${place}`;
    table(find("confusion"), ["", "answered yes", "answered no"], [["has it", ...found.confusion[0]], ["has it not", ...found.confusion[1]]].map((row) => row.map(String)));
    table(find("groups"), ["images", "count", "right"], found.groups.map(([words, count, right]) => [words, String(count), percent(right)]));
    find("groups").closest("figure").hidden = !found.groups.length;
    if (other) find("groups-caption").textContent = `With and without ${other}: of all, its labels go together with these most (correlation ${together.toFixed(2)})`;
    find("shown-caption").textContent = found.positives ? `Training images that have it, each with what the network looks at (blue); the region of an image of its own stands in the place of the one for all.` : "None of the first training images has it.";
    this.places();
    this.canvas.draw();
    this.cover(found);
    find("look").setAttribute("aria-busy", "false");
  }

  // What is drawn on: the mean of all images, or one of them.
  places() {
    const shown = this.looked.shown.map(({ id }) => id);
    const options = [[ALL, "the mean image: for all images"], ...shown.map((id) => [id, `image ${id} alone`])];
    find("place").replaceChildren(...options.map(([value, text]) => make("option", { value, selected: value === this.place }, text)));
    const list = this.looked.shown.map(({ id, picture, map }) => {
      const images = make("div", { class: "stack" }, make("img", { src: picture, alt: `Image ${id}` }), make("img", { src: map, alt: "" }));
      const button = make("button", { type: "button", onclick: () => this.drawOn(id, true) }, "Mark", make("span", { class: "hidden" }, ` image ${id} alone`));
      return make("li", { class: this.mark.images[id] ? "marked" : "" }, images, button);
    });
    find("shown").replaceChildren(...list);
  }

  drawOn(id, byHand = false) {
    this.place = id;
    find("place").value = id;
    this.canvas.select(null);
    this.canvas.draw();
    if (byHand) find("place").focus();
  }

  get shapes() {
    const drawn = this.place === ALL ? this.mark.template : this.mark.images[this.place];
    return drawn ?? { rectangles: [], polygons: [] };
  }

  // Every change goes through here: what was can be had again, and the server keeps what is.
  change(shapes, remember = true) {
    if (remember) this.undone.push([this.place, copy(this.mark)]);
    if (this.place === ALL) this.mark.template = shapes;
    else if (shapes.rectangles.length + shapes.polygons.length) this.mark.images[this.place] = shapes;
    else delete this.mark.images[this.place];
    this.canvas.draw();
    this.save();
  }

  undo() {
    const last = this.undone.pop();
    if (!last) return;
    [this.place, this.mark] = last;
    this.canvas.select(null);
    this.places();
    this.canvas.draw();
    this.save();
  }

  save() {
    this.dirty = true;
    this.saving ??= this.send();
  }

  async send() {
    await new Promise((done) => setTimeout(done, 150));
    while (this.dirty) {
      this.dirty = false;
      const attribute = this.attribute.name;
      try {
        const found = await ask("mark", { attribute, mark: this.mark, seen: this.seen, map: this.state.wanted.map });
        this.seen = this.state.seen[attribute] = found.seen;
        this.state.marks[attribute] = copy(this.mark);
        this.cover(found);
        complain(null);
      } catch (error) {
        complain(error);
        if (error.status === 409) await this.takeUp(true);
      }
    }
    this.saving = null;
    this.weights();
  }

  async saved() {
    if (this.saving) await this.saving;
  }

  cover({ covered, area }) {
    const said = covered === null ? "No region is marked yet." : `The region covers ${percent(area)} of the image and ${percent(covered)} of today's map.`;
    find("covered").textContent = said;
    for (const [place, item] of [...find("shown").children].entries()) item.className = this.mark.images[this.looked.shown[place].id] ? "marked" : "";
  }

  // What another window changed, or the training did.
  async poll() {
    if (this.polling || this.dirty || this.saving) return;
    this.polling = true;
    try {
      await this.takeUp();
      if (this.lost) complain(null);
      this.lost = false;
    } catch (error) {
      complain(error);
      this.lost = true;
    }
    this.polling = false;
  }

  async takeUp(refused = false) {
    const found = await ask("state");
    if (!refused && (this.dirty || this.saving)) return;
    const [before, { name }] = [this.state, this.attribute];
    this.state = found;
    if ((found.seen[name] ?? 0) !== this.seen || refused) {
      this.takeMark();
      this.canvas.select(null);
      this.canvas.draw();
      await this.look();
    }
    if (found.seen[""] !== before.seen[""]) {
      this.controls();
      if (found.wanted.map !== before.wanted.map) await this.look();
    }
    if (!same(Object.keys(found.marks), Object.keys(before.marks))) this.weights();
    if (!same(found.trial, before.trial) || !same(found.kept, before.kept)) this.show();
  }

  // How to fine-tune.
  controls() {
    const { wanted } = this.state;
    find("map").replaceChildren(...this.about.maps.map((name) => make("option", { value: name }, { own: "the network's own", grad_cam: "Grad-CAM" }[name] ?? `Grad-CAM at ${name}`)));
    for (const name of ["by", "map", "order", "epochs", "learning_rate"]) find(name).value = wanted[name];
    this.weights();
  }

  weights() {
    const names = this.about.attributes.map(({ name }) => name).filter((name) => this.state.marks[name]);
    find("train-lead").textContent = names.length
      ? `Directs ${names.join(", ")}: answers cost their cross-entropy times w_a, maps beside their region the chosen loss times w_g. The same fine-tuning without the regions follows, as the control.`
      : "Mark a region first.";
    const place = find("weights");
    if (place.contains(document.activeElement) && same(names, this.weighted)) return;
    this.weighted = names;
    const field = (name, index, text) => {
      const value = (this.state.wanted.weights[name] ?? this.about.weights)[index];
      const input = make("input", { type: "number", min: 0, step: "any", required: true, value, onchange: () => this.want() });
      Object.assign(input.dataset, { name, index });
      return make("label", {}, text, input);
    };
    place.replaceChildren(...names.map((name) => make("fieldset", { class: "shape" }, make("legend", {}, name), field(name, 0, "w_a, its answers"), field(name, 1, "w_g, its map"))));
    this.buttons();
  }

  async want() {
    const form = find("wanted");
    if (!form.checkValidity()) return form.reportValidity();
    const weights = copy(this.state.wanted.weights);
    for (const input of find("weights").querySelectorAll("input")) {
      weights[input.dataset.name] ??= [...this.about.weights];
      weights[input.dataset.name][input.dataset.index] = Number(input.value);
    }
    const wanted = { weights, epochs: Number(form.epochs.value), learning_rate: Number(form.learning_rate.value) };
    for (const name of ["by", "map", "order"]) wanted[name] = form[name].value;
    const map = this.state.wanted.map;
    try {
      const found = await ask("want", { wanted, seen: this.state.seen[""] ?? 0 });
      Object.assign(this.state, { wanted });
      this.state.seen[""] = found.seen;
      complain(null);
    } catch (error) {
      complain(error);
      await this.takeUp();
    }
    if (wanted.map !== map) await this.look();
  }

  async tell(path, told = {}) {
    await this.saved();
    try {
      const found = await ask(path, told);
      complain(null);
      await this.takeUp();
      return found;
    } catch (error) {
      complain(error);
      return null;
    }
  }

  // How the training stands, and what it led to.
  buttons() {
    const { state } = this.state.trial;
    find("start").disabled = state === "training" || !Object.keys(this.state.marks).length;
    find("start").textContent = { none: "Fine-tune", training: "Fine-tuning" }[state] ?? "Fine-tune again";
    find("stop").hidden = state !== "training";
    find("carry-on").hidden = state !== "stopped" && state !== "failed";
  }

  show() {
    const { trial, kept } = this.state;
    this.buttons();
    find("progress").hidden = trial.state !== "training";
    if (trial.progress) this.progress(trial.progress);
    const said = { stopped: "Stopped. Nothing that was done is lost; carry on, or begin again.", failed: `It ended: ${trial.why}`, done: "Both are trained." };
    find("training").textContent = said[trial.state] ?? "";
    find("kept").textContent = kept.length ? `Kept: ${kept.join(", ")}. python -m mam_keras.report compares it with the run before.` : "";
    if (trial.state === "done") this.compare();
    else {
      find("result").hidden = true;
      this.result = null;
    }
  }

  progress({ phase, share, left }) {
    const what = phase === 1 ? "The directed run" : "The control";
    const [bar, text] = [find("bar"), left === null ? "starting or evaluating" : `${percent(share, 0)}, about ${Math.ceil(left)} s left of both`];
    find("progress-text").textContent = `${what} (${phase} of 2): ${text}`;
    if (left === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  async compare() {
    if (this.result) return;
    this.result = "asked";
    try {
      this.result = await ask("result");
    } catch (error) {
      this.result = null;
      return complain(error);
    }
    const { attributes, means, others, lost, seconds, split } = this.result;
    find("result-lead").textContent = `On ${split} images; test images are left to the report. It took ${seconds.directed} s, the control ${seconds.control} s.`;
    const blocks = attributes.flatMap((one) => this.compared(one));
    const head = ["accuracy of the other attributes", ...Object.values(RUNS)];
    const rows = [[`mean of ${others}`, ...Object.keys(RUNS).map((run) => percent(means[run], 2))], ...lost.map((one) => [one.name, ...Object.keys(RUNS).map((run) => percent(one[run]))])];
    blocks.push(this.figure("What it cost: the other attributes, and those that lost most", head, rows));
    find("compared").replaceChildren(...blocks);
    if (!find("name").value) find("name").value = `${this.about.name}-directed${this.state.kept.length ? `-${this.state.kept.length + 1}` : ""}`;
    find("result").hidden = false;
  }

  compared({ name, said, shown, groups, energy }) {
    const row = (run) => {
      const cells = shown.map((one) => make("li", {}, make("div", { class: "stack" }, make("img", { src: one.picture, alt: `Image ${one.id}, ${RUNS[run]}` }), make("img", { src: one[run], alt: "" }))));
      return make("div", { class: "row" }, make("p", { class: "row-title" }, RUNS[run]), make("ul", { class: "cells pictures" }, ...cells));
    };
    const shares = Object.keys(RUNS).map((run) => percent(energy[run], 0));
    const found = [make("h3", {}, name), ...said.map((sentence) => make("p", {}, sentence)), make("figure", { class: "compared" }, ...Object.keys(RUNS).map(row))];
    const interval = ([value, low, high]) => (value === null ? "none" : low === null ? percent(value) : `${percent(value)} (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`);
    const rows = [["share of the map in the region", "", ...shares]];
    if (groups) {
      for (const group of groups.groups) rows.push([group.words, String(group.count), ...Object.keys(RUNS).map((run) => interval(group[run]))]);
      for (const [words, key] of [["the worst group", "worst"], ["balanced accuracy", "balanced"]]) rows.push([words, "", ...Object.keys(RUNS).map((run) => interval(groups[key][run]))]);
    }
    return [...found, this.figure(`${name}: where its map is, and right answers in the four groups`, ["", "images", ...Object.values(RUNS)], rows)];
  }

  figure(caption, head, rows) {
    const place = make("table");
    table(place, head, rows);
    return make("figure", { class: "table" }, make("figcaption", {}, caption), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, place));
  }
}

// The image that is drawn on. Shapes are in thousandths of its side here, in fractions everywhere else.
class Canvas {
  constructor(page) {
    this.page = page;
    this.svg = find("canvas");
    this.selected = null; // [kind, number]
    this.draft = null; // points of a polygon that is being drawn
    this.drag = null;
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, (event) => this.up(event));
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  get tool() {
    return document.querySelector("[name=tool]:checked").value;
  }

  list(kind) {
    return kind === "rectangle" ? this.page.shapes.rectangles : this.page.shapes.polygons;
  }

  select(which) {
    this.selected = which;
    this.draft = null;
  }

  // Replaces a shape, or adds it where there is none of this number, or removes it: points are numbers in fractions.
  put(kind, number, shape, remember = true) {
    const shapes = copy(this.page.shapes);
    const list = kind === "rectangle" ? shapes.rectangles : shapes.polygons;
    if (shape === null) list.splice(number, 1);
    else list[number] = shape;
    this.page.change(shapes, remember);
  }

  draw() {
    const { page } = this;
    const one = page.place === ALL ? null : page.looked.shown.find(({ id }) => id === page.place);
    find("picture").setAttribute("href", one ? one.picture : page.looked.template);
    find("heat").setAttribute("href", one ? one.map : page.looked.heat);
    find("heat").style.visibility = find("show-heat").checked ? "visible" : "hidden";
    find("shown").classList.toggle("no-heat", !find("show-heat").checked);
    const focused = this.svg.contains(document.activeElement) && document.activeElement.dataset.shape;
    this.presets();
    const drawn = [];
    for (const kind of ["rectangle", "polygon"]) this.list(kind).forEach((shape, number) => drawn.push(this.shape(kind, number, shape)));
    if (this.draft) drawn.push(draw("polyline", { class: "draft", points: this.draft.map(([x, y]) => `${1000 * x},${1000 * y}`).join(" ") }));
    find("shapes").replaceChildren(...drawn);
    this.handles();
    this.numbers();
    find("undo").disabled = !page.undone.length;
    find("clear").disabled = !drawn.length && !page.mark.template.presets.length;
    if (focused) find("shapes").querySelector(`[data-shape="${focused}"]`)?.focus({ preventScroll: true });
  }

  presets() {
    const { about, place, mark } = this.page;
    const names = Object.keys(about.presets);
    find("presets").hidden = !names.length || place !== ALL;
    const box = find("presets").querySelector(".choices");
    if (box.childElementCount !== names.length) {
      box.replaceChildren(...names.map((name) => make("label", {}, make("input", { type: "checkbox", value: name, onchange: () => this.preset() }), ` ${name}`)));
    }
    for (const input of box.querySelectorAll("input")) input.checked = mark.template.presets.includes(input.value);
    const shown = place === ALL ? mark.template.presets.flatMap((name) => about.presets[name] ?? []) : [];
    find("preset-shapes").replaceChildren(...shown.map(([left, top, right, bottom]) => draw("rect", { x: 1000 * left, y: 1000 * top, width: 1000 * (right - left), height: 1000 * (bottom - top) })));
  }

  preset() {
    const presets = [...find("presets").querySelectorAll("input:checked")].map(({ value }) => value);
    this.page.change({ ...copy(this.page.shapes), presets });
  }

  shape(kind, number, shape) {
    const label = kind === "rectangle"
      ? `Rectangle ${number + 1}: left ${Math.round(100 * shape[0])} %, top ${Math.round(100 * shape[1])} %, right ${Math.round(100 * shape[2])} %, bottom ${Math.round(100 * shape[3])} %`
      : `Polygon ${number + 1} of ${shape.length} points`;
    const chosen = same(this.selected, [kind, number]);
    const common = { tabindex: 0, role: "button", "aria-label": label, "data-shape": `${kind} ${number}`, class: chosen ? "selected" : "" };
    const element = kind === "rectangle"
      ? draw("rect", { ...common, x: 1000 * shape[0], y: 1000 * shape[1], width: 1000 * (shape[2] - shape[0]), height: 1000 * (shape[3] - shape[1]) })
      : draw("polygon", { ...common, points: shape.map(([x, y]) => `${1000 * x},${1000 * y}`).join(" ") });
    element.addEventListener("focus", () => {
      this.selected = [kind, number];
      for (const other of find("shapes").children) other.classList.toggle("selected", other === element);
      this.handles();
    });
    return element;
  }

  // Points by which the selected shape is pulled: corners of a rectangle, points of a polygon.
  handles() {
    const shape = this.selected && this.list(this.selected[0])[this.selected[1]];
    const points = !shape ? [] : this.selected[0] === "polygon" ? shape : [0, 2].flatMap((x) => [1, 3].map((y) => [shape[x], shape[y]]));
    const circles = points.map(([x, y], corner) => {
      const circle = draw("circle", { cx: 1000 * x, cy: 1000 * y, r: 16 });
      circle.dataset.corner = corner;
      return circle;
    });
    find("handles").replaceChildren(...circles);
  }

  numbers() {
    const place = find("numbers");
    const kinds = ["rectangle", "polygon"].flatMap((kind) => this.list(kind).map((shape, number) => [kind, number, shape]));
    const form = kinds.map(([kind, , shape]) => [kind, shape.length]);
    if (!same(form, this.numbered)) {
      this.numbered = form;
      place.replaceChildren(...kinds.map((one) => this.fields(...one)));
    }
    const inputs = [...place.querySelectorAll("input")];
    for (const [index, value] of kinds.flatMap(([, , shape]) => shape.flat()).entries()) {
      if (inputs[index] !== document.activeElement) inputs[index].value = +(100 * value).toFixed(1);
    }
  }

  fields(kind, number, shape) {
    const names = kind === "rectangle" ? ["left %", "top %", "right %", "bottom %"] : shape.flatMap((_, point) => [`x${point + 1} %`, `y${point + 1} %`]);
    const title = `${kind === "rectangle" ? "Rectangle" : "Polygon"} ${number + 1}`;
    const inputs = names.map((text) => make("label", {}, text, make("input", { type: "number", min: 0, max: 100, step: "any", required: true, "aria-label": `${title}, ${text}`, onchange: () => this.typed(kind, number) })));
    const remove = make("button", { type: "button", onclick: () => this.remove(kind, number) }, "Remove", make("span", { class: "hidden" }, ` ${title}`));
    const more = kind === "polygon" ? [make("button", { type: "button", onclick: () => this.another(number) }, "Add a point", make("span", { class: "hidden" }, ` to ${title}`))] : [];
    const fieldset = make("fieldset", { class: "shape" }, make("legend", {}, title), ...inputs, ...more, remove);
    fieldset.dataset.shape = `${kind} ${number}`;
    return fieldset;
  }

  typed(kind, number) {
    const fieldset = find("numbers").querySelector(`[data-shape="${kind} ${number}"]`);
    const inputs = [...fieldset.querySelectorAll("input")];
    const invalid = inputs.find((input) => !input.checkValidity());
    if (invalid) return invalid.reportValidity();
    const values = inputs.map(({ value }) => Number(value) / 100);
    if (kind === "polygon") return this.put(kind, number, values.flatMap((x, index) => (index % 2 ? [] : [[x, values[index + 1]]])));
    const wrong = values[0] >= values[2] ? 2 : values[1] >= values[3] ? 3 : null;
    inputs.forEach((input) => input.setCustomValidity(""));
    if (wrong === null) return this.put(kind, number, values);
    inputs[wrong].setCustomValidity(`More than ${wrong === 2 ? "left" : "top"}, please.`);
    return inputs[wrong].reportValidity();
  }

  another(number) {
    const points = this.list("polygon")[number];
    const [[x, y], [last, low]] = [points[0], points.at(-1)];
    this.put("polygon", number, [...points, [(x + last) / 2, (y + low) / 2]]);
  }

  remove(kind, number) {
    this.select(null);
    this.put(kind, number, null);
    const next = find("shapes").querySelector("[tabindex]") ?? find(`add-${kind}`);
    next.focus({ preventScroll: true });
  }

  add(kind) {
    const shape = kind === "rectangle" ? [0.35, 0.35, 0.65, 0.65] : [[0.5, 0.35], [0.65, 0.65], [0.35, 0.65]];
    const number = this.list(kind).length;
    this.select([kind, number]);
    this.put(kind, number, shape);
    find("shapes").querySelector(`[data-shape="${kind} ${number}"]`).focus();
  }

  // Keys on a shape that has focus.
  key(event) {
    if (event.key === "Escape" && this.draft) return this.finish(false);
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return this.page.undo();
    }
    const [kind, number] = event.target.dataset.shape?.split(" ") ?? [];
    if (!kind) return undefined;
    if (["Delete", "Backspace"].includes(event.key)) {
      event.preventDefault();
      return this.remove(kind, Number(number));
    }
    if (event.key === "Enter") {
      event.preventDefault();
      return find("numbers").querySelector(`[data-shape="${kind} ${number}"] input`).focus();
    }
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    event.preventDefault();
    const by = way.map((one) => (one * STEP) / 1000);
    const shape = this.list(kind)[number];
    return this.put(kind, Number(number), event.shiftKey ? resized(shape, by) : moved(shape, by), !event.repeat);
  }

  // Mouse, pen and finger.
  at(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((one) => within(one, 0, 1));
  }

  down(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const point = this.at(event);
    const { corner, shape } = event.target.dataset;
    if (this.draft) {
      event.preventDefault();
      this.addPoint(point);
      return;
    }
    if (corner !== undefined) {
      const [kind, number] = this.selected;
      this.drag = { kind, number, corner: Number(corner), first: copy(this.list(kind)[number]) };
    } else if (shape) {
      const [kind, number] = [shape.split(" ")[0], Number(shape.split(" ")[1])];
      this.select([kind, number]);
      event.target.focus({ preventScroll: true });
      this.drag = { kind, number, from: point, first: copy(this.list(kind)[number]) };
    } else if (this.tool === "rectangle") {
      this.drag = { kind: "rectangle", number: this.list("rectangle").length, start: point };
    } else if (this.tool === "polygon") {
      event.preventDefault();
      this.select(null);
      this.addPoint(point);
      return;
    } else {
      return;
    }
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
  }

  move(event) {
    const { drag } = this;
    if (!drag) return;
    const point = this.at(event);
    const shape = drag.start ? rectangle(drag.start, point) : drag.from ? moved(drag.first, [point[0] - drag.from[0], point[1] - drag.from[1]]) : pulled(drag.first, drag.corner, point);
    if (!shape) return;
    if (drag.start) this.select(["rectangle", drag.number]);
    this.put(drag.kind, drag.number, shape, !drag.moved);
    drag.moved = true;
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (drag?.moved) find("shapes").querySelector(`[data-shape="${drag.kind} ${drag.number}"]`)?.focus({ preventScroll: true });
  }

  addPoint(point) {
    const first = this.draft?.[0];
    if (first && this.draft.length > 2 && Math.hypot(point[0] - first[0], point[1] - first[1]) < 0.04) {
      this.finish(true);
      return;
    }
    this.draft = [...(this.draft ?? []), point];
    this.draw();
  }

  finish(whole) {
    const points = this.draft;
    const number = this.list("polygon").length;
    this.select(whole ? ["polygon", number] : null);
    if (whole) this.put("polygon", number, points);
    else this.draw();
  }
}

const points = (shape) => (typeof shape[0] === "number" ? [[shape[0], shape[1]], [shape[2], shape[3]]] : shape);
const like = (shape, list) => (typeof shape[0] === "number" ? list.flat() : list);

// A shape that is moved stays whole within the image.
function moved(shape, by) {
  const list = points(shape);
  const allowed = by.map((one, axis) => within(one, -Math.min(...list.map((point) => point[axis])), 1 - Math.max(...list.map((point) => point[axis]))));
  return like(shape, list.map((point) => point.map((one, axis) => one + allowed[axis])));
}

// The left upper corner stays where it is.
function resized(shape, by) {
  const list = points(shape);
  const least = SMALLEST / 1000;
  const scale = by.map((one, axis) => {
    const [low, high] = [Math.min, Math.max].map((extreme) => extreme(...list.map((point) => point[axis])));
    const length = within(high - low + one, least, 1 - low);
    return [low, high > low ? length / (high - low) : 1];
  });
  return like(shape, list.map((point) => point.map((one, axis) => within(scale[axis][0] + (one - scale[axis][0]) * scale[axis][1], 0, 1))));
}

function rectangle([x, y], [other, lower]) {
  const found = [Math.min(x, other), Math.min(y, lower), Math.max(x, other), Math.max(y, lower)];
  return found[2] - found[0] < SMALLEST / 1000 || found[3] - found[1] < SMALLEST / 1000 ? null : found;
}

function pulled(shape, corner, point) {
  if (typeof shape[0] !== "number") return shape.map((one, number) => (number === corner ? point : one));
  const opposite = [corner < 2 ? shape[2] : shape[0], corner % 2 ? shape[1] : shape[3]];
  return rectangle(opposite, point);
}

const page = new Page();
for (const kind of ["rectangle", "polygon"]) find(`add-${kind}`).addEventListener("click", () => page.canvas.add(kind));
find("undo").addEventListener("click", () => page.undo());
find("clear").addEventListener("click", () => {
  page.canvas.select(null);
  page.change(page.place === ALL ? nothing().template : { rectangles: [], polygons: [] });
});
find("show-heat").addEventListener("change", () => page.canvas.draw());
find("place").addEventListener("change", (event) => page.drawOn(event.target.value));
for (const input of document.querySelectorAll("[name=tool]")) input.addEventListener("change", () => find("canvas").classList.toggle("move", page.canvas.tool === "move"));
find("wanted").addEventListener("change", (event) => event.target.closest("#weights") || page.want());
find("wanted").addEventListener("submit", (event) => {
  event.preventDefault();
  page.tell("train", { carry_on: false });
});
find("stop").addEventListener("click", () => page.tell("stop"));
find("carry-on").addEventListener("click", () => page.tell("train", { carry_on: true }));
find("throw-away").addEventListener("click", () => page.tell("throw_away"));
find("keeping").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await page.tell("keep", { name: find("name").value })) find("name").value = "";
});
page.start().catch(complain);
