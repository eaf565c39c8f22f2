"use strict";

// Tables: a click on a column's title, or Enter on it, sorts by it; again turns the order round. Undefined goes last.
const TEXT = new Intl.Collator("en", { numeric: true });

function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.order !== undefined) return Number(cell.dataset.order);
  const text = cell.querySelector(".undefined") ? "" : cell.textContent.trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function sort(header) {
  const numeric = header.classList.contains("number");
  const ascending = header.hasAttribute("aria-sort") ? header.getAttribute("aria-sort") === "descending" : !numeric;
  const body = header.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [key(row, header.cellIndex), row]);
  rows.sort(([one], [other]) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    const order = typeof one === "number" && typeof other === "number" ? one - other : TEXT.compare(one, other);
    return ascending ? order : -order;
  });
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...rows.map(([, row]) => row));
}

for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}

// Folded parts open where a link leads into them, and all of them for paper; browsers that do so by themselves see no change.
function unfold(element) {
  for (let fold = element?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  return element;
}

function followAddress() {
  const [name] = decodeURIComponent(location.hash.slice(1)).split("?");
  if (name) unfold(document.getElementById(name))?.scrollIntoView();
}

const FOLDS = [...document.querySelectorAll("details.fold, details.target")];
let unfolded = [];
addEventListener("hashchange", followAddress);
addEventListener("beforeprint", () => {
  unfolded = FOLDS.filter((fold) => !fold.open);
  for (const fold of unfolded) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of unfolded) fold.open = false;
});

// The search shows the targets whose name has every word that was typed; of a single one all that is known.
const search = document.getElementById("search");
if (search) {
  const targets = [...document.querySelectorAll(".target")];
  search.closest(".search").hidden = false;
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/[\s_]+/).filter(Boolean);
    const found = targets.filter((target) => {
      target.hidden = !words.every((word) => target.dataset.target.toLowerCase().includes(word));
      return !target.hidden;
    });
    if (found.length === 1) found[0].open = true;
    search.nextElementSibling.textContent = words.length ? `${found.length} of ${targets.length}` : "";
  });
}

// The explorer. Its data are a `blocks.Explorer`, described there; the pictures are those of the radio buttons.
const FOR = [59, 125, 216]; // the colours of figures.SIGNED
const AGAINST = [217, 119, 43];
const OPEN = [70, 200, 140]; // neither of both
const LEVELS = 31; // analysis.examples.LEVELS

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const signed = (value) => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toPrecision(2);
const atLeast = (value) => Math.max(value, Number.MIN_VALUE);

// Draws a picture, greyer the more of it is covered, and over it one cell for each position: [red, green, blue, alpha].
function overlay(canvas, picture, grey, [height, width], cell) {
  const cells = new ImageData(width, height);
  for (let position = 0; position < width * height; position++) cells.data.set(cell(position), 4 * position);
  const small = Object.assign(document.createElement("canvas"), { width, height });
  small.getContext("2d").putImageData(cells, 0, 0);
  const context = canvas.getContext("2d");
  const all = [0, 0, canvas.width, canvas.height];
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, ...all);
  context.globalCompositeOperation = "saturation";
  context.fillStyle = `rgb(128 128 128 / ${grey})`;
  context.fillRect(...all);
  context.globalCompositeOperation = "source-over";
  context.imageSmoothingEnabled = false;
  context.drawImage(small, ...all);
}

class Explorer {
  constructor(place) {
    this.find = (selector) => place.querySelector(selector);
    this.all = (selector) => [...place.querySelectorAll(selector)];
    const data = JSON.parse(this.find("script").textContent);
    Object.assign(this, data); // exclusive, heads, grid, depths, maps, looks
    this.pictures = this.all(".images img");
    this.pairs = this.all(".pairs span").map((span) => span.textContent);
    this.targets = this.all("[name=target] option").map((option) => option.textContent);
    let start = 0;
    for (const map of this.maps) {
      map.start = start;
      start += map.size.reduce((product, length) => product * length);
    }
    this.maskStart = start;
    this.unpacked = new Map();
    this.form = this.find("form");
    const having = this.looks.findIndex((look) => look.labels?.[0]);
    this.all("[name=image]")[Math.max(having, 0)].checked = true;
    this.followAddress();
    addEventListener("hashchange", () => this.followAddress() && this.show());
    this.form.addEventListener("input", () => {
      history.replaceState(null, "", `#explorer?${this.state()}`);
      this.show();
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.find(".keep").addEventListener("click", () => this.keep());
    this.show();
  }

  chosen(name) {
    return Number(this.form.elements[name]?.value ?? 0);
  }

  // What was chosen, for the address: names, so that it outlives a page that is drawn anew.
  state() {
    const place = this.chosen("map");
    return new URLSearchParams({
      target: this.targets[this.chosen("target")],
      image: this.looks[this.chosen("image")].title,
      map: this.maps[place].title,
      ...(this.depths && place === this.maps.length - this.depths ? { depth: this.chosen("depth") } : {}),
      ...(this.pairs.length ? { pair: this.pairs[this.chosen("pair")] } : {}),
      opacity: this.chosen("opacity"),
    });
  }

  // Chooses what the address says, as far as the page has it; whether it is about the explorer.
  followAddress() {
    const [name, state] = location.hash.slice(1).split(/\?(.*)/s);
    if (name !== "explorer" || !state) return false;
    const asked = new URLSearchParams(state);
    const places = {
      target: this.targets.indexOf(asked.get("target")),
      image: this.looks.findIndex((look) => look.title === asked.get("image")),
      map: this.maps.findIndex((map) => map.title === asked.get("map")),
      pair: this.pairs.indexOf(asked.get("pair")),
      depth: Number(asked.get("depth") ?? -1),
      opacity: Number(asked.get("opacity") ?? -1),
    };
    for (const [control, place] of Object.entries(places)) {
      if (place >= 0 && this.form.elements[control]) this.form.elements[control].value = place;
    }
    return true;
  }

  unpack(image) {
    if (!this.unpacked.has(image)) {
      const packed = Uint8Array.from(atob(this.looks[image].packed), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
      this.unpacked.set(image, new Response(stream).arrayBuffer());
    }
    return this.unpacked.get(image);
  }

  async show() {
    const image = this.chosen("image");
    const [bytes] = await Promise.all([this.unpack(image), this.pictures[image].decode()]);
    if (image !== this.chosen("image")) return; // another was chosen meanwhile, and draws itself
    const [target, pair, chosen] = ["target", "pair", "map"].map((name) => this.chosen(name));
    const shallowest = this.maps.length - this.depths;
    const deep = chosen === shallowest;
    const place = deep ? shallowest + this.chosen("depth") : chosen;
    const look = this.looks[image];
    const picture = this.pictures[image];

    const map = this.maps[place];
    this.all(".depth").forEach((control) => (control.hidden = !deep));
    this.find("[name=depth]")?.setAttribute("aria-valuetext", this.maps[shallowest + this.chosen("depth")].title);
    const [targets, variants, ...size] = map.size;
    const positions = size[0] * size[1];
    const paired = variants > 1; // else the map is that of training, whatever the pair
    const row = targets > 1 ? target : 0; // one map may serve all
    const scales = look.scales[place][row];
    const top = Math.max(...scales);
    const values = scales.map(
      (_, variant) => new Int8Array(bytes, map.start + (row * variants + variant) * positions, positions),
    );
    const draw = (canvas, variant, opacity) => {
      const strength = (opacity * scales[variant]) / LEVELS / atLeast(top);
      overlay(canvas, picture, Math.min(1, 2 * opacity), size, (position) => {
        const value = values[variant][position];
        return [...(value < 0 ? AGAINST : FOR), 255 * strength * Math.abs(value)];
      });
    };
    const large = this.find(".map");
    const variant = paired ? pair : 0;
    draw(large, variant, this.chosen("opacity") / 100);
    this.all(".pairs canvas").forEach((canvas, index) => {
      canvas.hidden = !paired;
      if (paired) draw(canvas, index, 0.9);
    });
    this.all(".pairs output").forEach((output, index) => {
      output.textContent = percent(look.probabilities[target][index]);
    });
    this.scale(map, paired, top);
    const yes = look.answers[target][pair];
    const lowest = map.signed && !yes;
    large.setAttribute("aria-label", this.describe(map, values[variant], scales[variant], lowest));
    this.answer(look, target, pair, map, yes);
    const masks = look.highest[target].length;
    const mask = this.grid[0] * this.grid[1];
    this.channels(look, target, picture, (index) => {
      return new Uint8Array(bytes, this.maskStart + (target * masks + index) * mask, mask);
    });
    this.all(".images label").forEach((label, index) => {
      label.classList.toggle("has", Boolean(this.looks[index].labels?.[target]));
    });
  }

  // Puts what is seen now beside what was kept before; a click on one takes it away again.
  keep() {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", title: "Take away" });
    const said = [this.find(".what"), this.find(".answer dl")].map((one) => one.innerText.replace(/\s+/g, " "));
    const map = this.maps[this.chosen("map")].title;
    const image = Object.assign(new Image(), { src: this.find(".map").toDataURL(), alt: `${map}: ${said[0]}` });
    button.append(image, `${said[0]}: ${map}. ${said[1]}`);
    button.addEventListener("click", () => item.remove());
    item.append(button);
    this.find(".kept").append(item);
  }

  scale(map, paired, top) {
    this.find(".scale").classList.toggle("signed", map.signed);
    this.find(".low").textContent = map.signed ? `${signed(-top)} against` : "";
    this.find(".high").textContent = map.signed ? `${signed(top)} for` : signed(top).replace("+", "");
    const what = this.exclusive ? "class" : "attribute";
    const all = map.size[0] === 1 && this.targets.length > 1;
    const texts = [
      `${map.title}.`,
      map.note,
      all ? `One map for all ${this.targets.length}, whichever is chosen.` : "",
      map.signed ? `Blue speaks for the ${what}, orange against it.` : "It has no sign: the bluer, the higher.",
      paired ? "Colours are scaled to the strongest position under any of the pairs shown." : "",
      !paired && this.pairs.length ? "It is the map of training: a pair does not change it." : "",
    ];
    this.find(".about").textContent = texts.filter(Boolean).join(" ");
  }

  describe(map, values, scale, lowest) {
    const further = (value, best) => (lowest ? value < best : value > best);
    const place = values.reduce((best, value, position) => (further(value, values[best]) ? position : best), 0);
    const [height, width] = map.size.slice(2);
    const where = `row ${Math.floor(place / width) + 1}, column ${(place % width) + 1} of ${height} x ${width}`;
    return `${map.title} over the image: ${lowest ? "lowest" : "highest"} in ${where}, ${signed((values[place] * scale) / LEVELS)}.`;
  }

  answer(look, target, pair, map, yes) {
    this.find(".what").textContent = `${this.targets[target]}, ${look.title}`;
    this.find(".foreign").hidden = !look.unlike;
    const label = look.labels === null ? "none given" : { true: "yes", false: "no", null: "not known" }[look.labels[target]];
    const found = [["Label", label]];
    [0, pair].filter((index, place) => place === 0 || index > 0).forEach((index) => {
      const head = index === 0 ? this.heads[0] : `${this.heads[0]} at ${this.pairs[index]}`;
      found.push([head, percent(look.probabilities[target][index])]);
    });
    look.others.forEach((probabilities, index) => found.push([this.heads[1 + index], percent(probabilities[target])]));
    const answered = this.exclusive ? this.targets[look.answers.findIndex((answers) => answers[pair])] : yes ? "yes" : "no";
    found.push([pair ? `Answer at ${this.pairs[pair]}` : "Answer", answered]);
    const cells = found.flatMap((texts) =>
      texts.map((text, index) => Object.assign(document.createElement(index ? "dd" : "dt"), { textContent: text })),
    );
    this.find(".answer dl").replaceChildren(...cells);
    this.find(".speaks").textContent = this.speaks(map, yes);
  }

  // What of a map speaks for the answer that is given.
  speaks(map, yes) {
    const no = this.exclusive ? "that it is not this class" : "\u201cno\u201d";
    if (map.signed) {
      return yes ? "The answer is yes: blue is what speaks for it." : `The answer is no: orange is what speaks for ${no}.`;
    }
    return yes ? "" : `The answer is no, and a map without a sign has nothing that speaks for ${no}: there is no map of it.`;
  }

  channels(look, target, picture, mask) {
    const shares = look.shares[target];
    const highest = look.highest[target].map((value) => (value < 0.01 ? "<0.01" : value.toFixed(2)));
    const items = look.channels[target].map((channel, index) => {
      return { text: `Channel ${channel}: ${percent(shares[index])} of the importance` };
    });
    if (highest.length && highest.length === items.length) {
      items.forEach((item, index) => Object.assign(item, { index, text: `${item.text}, mask up to ${highest[index]}` }));
    } else if (highest.length) {
      items.unshift({ index: 0, text: `The mask that all channels share, up to ${highest[0]}` });
    }
    const list = items.map(({ text, index }) => {
      const item = document.createElement("li");
      if (index !== undefined) {
        const canvas = Object.assign(document.createElement("canvas"), { width: 192, height: 192, ariaHidden: "true" });
        const values = mask(index);
        overlay(canvas, picture, 1, this.grid, (position) => [...OPEN, (0.75 * 255 * values[position]) / LEVELS]);
        item.append(canvas);
      }
      item.append(text);
      return item;
    });
    this.find(".channels ul").replaceChildren(...list);
    this.find(".channels").hidden = !list.length;
    this.find(".channels .open").hidden = !highest.length;
  }
}

for (const place of document.querySelectorAll(".explorer")) new Explorer(place);
followAddress();
