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
    this.grid = data.grid;
    this.looks = data.looks;
    this.pictures = this.all(".images img");
    this.pairs = this.all(".pairs span").map((span) => span.textContent);
    this.attributes = this.all("option").map((option) => option.textContent);
    this.unpacked = new Map();
    this.form = this.find("form");
    const having = this.looks.findIndex((look) => look.labels?.[0]);
    this.all("[name=image]")[Math.max(having, 0)].checked = true;
    this.form.addEventListener("input", () => this.show());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.show();
  }

  chosen(name) {
    return Number(this.form.elements[name].value);
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
    const attribute = this.chosen("attribute");
    const pair = this.chosen("pair");
    const look = this.looks[image];
    const positions = this.grid[0] * this.grid[1];
    const picture = this.pictures[image];

    const top = Math.max(...look.scales[attribute]);
    const maps = this.pairs.map((_, index) => {
      const start = (attribute * this.pairs.length + index) * positions;
      return new Int8Array(bytes, start, positions);
    });
    const draw = (canvas, index, opacity) => {
      const strength = (opacity * look.scales[attribute][index]) / LEVELS / atLeast(top);
      overlay(canvas, picture, Math.min(1, 2 * opacity), this.grid, (position) => {
        const value = maps[index][position];
        return [...(value < 0 ? AGAINST : FOR), 255 * strength * Math.abs(value)];
      });
    };
    const large = this.find(".map");
    draw(large, pair, this.chosen("opacity") / 100);
    this.all(".pairs canvas").forEach((canvas, index) => draw(canvas, index, 0.9));
    this.all(".pairs output").forEach((output, index) => {
      output.textContent = percent(look.probabilities[attribute][index]);
    });
    this.find(".low").textContent = signed(-top);
    this.find(".high").textContent = signed(top);
    large.setAttribute("aria-label", this.describe(maps[pair], look.scales[attribute][pair]));
    this.answer(look, attribute, pair);
    const start = this.attributes.length * this.pairs.length * positions;
    const shown = look.highest[attribute].length;
    this.channels(look, attribute, picture, (index) => {
      return new Uint8Array(bytes, start + (attribute * shown + index) * positions, positions);
    });
    this.all(".images label").forEach((label, index) => {
      label.classList.toggle("has", Boolean(this.looks[index].labels?.[attribute]));
    });
  }

  describe(map, scale) {
    const highest = map.reduce((best, value, position) => (value > map[best] ? position : best), 0);
    const [row, column] = [Math.floor(highest / this.grid[1]) + 1, (highest % this.grid[1]) + 1];
    const value = signed((map[highest] * scale) / LEVELS);
    return `The map over the image: highest in row ${row}, column ${column} of ${this.grid.join(" x ")}, ${value}.`;
  }

  answer(look, attribute, pair) {
    this.find(".what").textContent = `${this.attributes[attribute]}, ${look.title}`;
    const label = look.labels === null ? "none given" : look.labels[attribute] ? "yes" : "no";
    const found = [["Label", label]];
    this.pairs.forEach((name, index) => {
      const head = index === 0 ? "Attribute head" : `Attribute head at ${name}`;
      if (index === 0 || index === pair) found.push([head, percent(look.probabilities[attribute][index])]);
    });
    if (look.multi_label !== null) found.push(["Multi-label head", percent(look.multi_label[attribute])]);
    const cells = found.flatMap((texts) =>
      texts.map((text, index) => Object.assign(document.createElement(index ? "dd" : "dt"), { textContent: text })),
    );
    this.find(".answer dl").replaceChildren(...cells);
  }

  channels(look, attribute, picture, mask) {
    const shares = look.shares[attribute];
    const highest = look.highest[attribute].map((value) => (value < 0.01 ? "<0.01" : value.toFixed(2)));
    const items = look.channels[attribute].map((channel, index) => {
      return { text: `Channel ${channel}: ${percent(shares[index])} of the importance` };
    });
    if (highest.length === items.length) {
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
    this.find(".channels").hidden = false;
  }
}

for (const place of document.querySelectorAll(".explorer")) new Explorer(place);
