// The script of a report: sortable tables, the search for words, and the map of words.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" ||
        (!head.hasAttribute("aria-sort") && !head.classList.contains("number"));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => {
        const { dataset, textContent } = row.cells[column];
        return dataset.value === undefined ? textContent : Number(dataset.value);
      };
      const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
      const rows = [...body.rows].sort((a, b) => compare(key(a), key(b)));
      body.append(...(up ? rows : rows.reverse()));
    });
  });
}

const packed = document.getElementById("word-data");
if (packed) showWords(unpack(JSON.parse(packed.textContent)));

/** Return the words and numbers of the page; numbers are in base64, as `word_map.py` packs them. */
function unpack(data) {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (text, Type) => new Type(bytes(text).buffer);
  const words = data.words.split("\n");
  const found = {
    words,
    lower: words.map((word) => word.toLowerCase()),
    shape: data.shape,
    view: data.view,
    known: data.known,
    farthest: data.farthest,
    count: numbers(data.count, Uint32Array),
    movement: numbers(data.movement, Float32Array),
    cosine: numbers(data.cosine, Float32Array),
    inBase: bytes(data.inBase),
    places: numbers(data.places, Uint16Array),
  };
  for (const when of ["before", "after"]) {
    if (!data[when]) continue;
    found[when] = numbers(data[when], Uint16Array);
    found[`${when}Cosine`] = bytes(data[`${when}Cosine`]);
  }
  return found;
}

function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function showWords(data) {
  const map = wordMap(data, (at) => select(at));
  const card = document.getElementById("card");
  const status = document.getElementById("found");
  const kept = [];

  function about(at) {
    const count = data.count[at];
    const parts = [count ? `${count.toLocaleString("en")} times in the training texts` : "not in the training texts"];
    if (!Number.isNaN(data.movement[at])) {
      parts.push(data.movement[at] > 0
        ? `moved ${percent(data.movement[at])}, cosine to its start ${data.cosine[at].toFixed(3)}`
        : "did not move");
    } else if (data.known) parts.push("not in the vectors before");
    return parts.join("; ");
  }

  function neighbours(at, when) {
    const size = data[when].length / data.words.length;
    const found = [];
    for (let i = at * size; i < (at + 1) * size; i++) {
      if (data[when][i] !== 65535) found.push([data[when][i], (data[`${when}Cosine`][i] - 100) / 100]);
    }
    return found;
  }

  function list(at, when, other) {
    const box = element("div");
    box.append(element("h4", when === "before" ? "Before" : "After"));
    const own = data[when] ? neighbours(at, when) : [];
    const others = new Set(data[other] ? neighbours(at, other).map(([word]) => word) : []);
    const items = element("ol");
    for (const [word, cosine] of own) {
      const changed = others.size && !others.has(word);
      const item = element("li", "", changed ? (when === "before" ? "gone" : "new") : "");
      const button = element("button", data.words[word]);
      button.type = "button";
      button.addEventListener("click", () => select(word, true));
      const mark = changed ? (when === "before" ? ", lost" : ", new") : "";
      item.append(button, element("small", `${cosine.toFixed(2)}${mark}`));
      items.append(item);
    }
    box.append(own.length ? items : element("p", "not known", "note"));
    return box;
  }

  function select(at, focus = false) {
    if (!kept.includes(at)) kept.unshift(at);
    kept.splice(6);
    const title = element("h3", data.words[at]);
    title.tabIndex = -1;
    const pair = element("div", "", "pair");
    pair.append(list(at, "before", "after"), list(at, "after", "before"));
    const chips = element("ul", "", "chips");
    chips.setAttribute("aria-label", "Words that are marked on the map");
    for (const word of kept) {
      const button = element("button", `${data.words[word]} ×`);
      button.type = "button";
      button.setAttribute("aria-label", `Take ${data.words[word]} off the map`);
      button.addEventListener("click", () => {
        kept.splice(kept.indexOf(word), 1);
        button.parentNode.remove();
        map.mark(kept);
        document.getElementById("word").focus();
      });
      const item = element("li");
      item.append(button);
      chips.append(item);
    }
    card.replaceChildren(title, element("p", about(at), "note"), pair, chips);
    status.textContent = `${data.words[at]} is shown.`;
    if (focus) title.focus();
    map.mark(kept);
  }

  search(data, select, status);
  if (data.farthest.length || data.words.length) select(data.farthest[0] ?? 0);
  status.textContent = "";
}

/** Let the reader find a word: a text field with a list of words that match. */
function search(data, select, status) {
  const input = document.getElementById("word");
  const matches = document.getElementById("matches");
  let found = [];
  let active = -1;

  function matching(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const kinds = [[], [], []];
    data.lower.forEach((word, at) => {
      const kind = word === wanted ? 0 : word.startsWith(wanted) ? 1 : word.includes(wanted) ? 2 : 3;
      if (kind < 3 && kinds[kind].length < 8) kinds[kind].push(at);
    });
    return kinds.flat().slice(0, 8);
  }

  function show(list) {
    found = list;
    active = list.length ? 0 : -1;
    matches.replaceChildren(...list.map((at, number) => {
      const item = element("li", data.words[at]);
      item.id = `match-${number}`;
      item.setAttribute("role", "option");
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(number); });
      return item;
    }));
    point();
  }

  function point() {
    matches.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    [...matches.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === active)));
    if (active >= 0) input.setAttribute("aria-activedescendant", `match-${active}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function choose(number) {
    const at = found[number];
    input.value = data.words[at];
    show([]);
    select(at);
  }

  input.addEventListener("input", () => {
    show(matching(input.value));
    const none = input.value.trim() && !found.length;
    status.textContent = none ? "No word of this page matches." : found.length ? `${found.length} words match.` : "";
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show([]);
    if (!found.length || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    event.preventDefault();
    active = (active + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
    point();
  });
  input.addEventListener("blur", () => show([]));
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!found.length) show(matching(input.value));
    if (found.length) choose(active);
  });
}

/** Draw the map of words, and return what marks words on it. */
function wordMap(data, select) {
  const canvas = document.getElementById("map");
  const context = canvas.getContext("2d");
  const tip = document.getElementById("tip");
  const when = document.getElementById("when");
  const arrows = document.getElementById("arrows");
  const size = data.words.length;
  const kinds = new Uint8Array(size);
  const far = [...data.movement].filter((one) => one > 0).sort((a, b) => a - b);
  const limits = far.length ? [far[Math.floor(far.length / 2)], far[Math.floor(far.length * 0.95)]] : [];
  for (let at = 0; at < size; at++) {
    const moved = data.movement[at];
    if (moved > 0) kinds[at] = moved >= limits[1] ? 3 : moved >= limits[0] ? 2 : 1;
  }
  let marked = [];
  let colors = {};
  let width = 0;
  let height = 0;
  let x0, y0, zoom;
  let asked = false;

  const place = (at, k) => data.places[4 * at + k] / 65535 * data.shape[k % 2];
  const screenX = (x) => (x - x0) * zoom + width / 2;
  const screenY = (y) => (y0 - y) * zoom + height / 2;
  function at(word, t) {
    const x = place(word, 0) * (1 - t) + place(word, 2) * t;
    const y = place(word, 1) * (1 - t) + place(word, 3) * t;
    return [screenX(x), screenY(y)];
  }

  function whole() {
    const [low, high] = data.view.map((row) => row.map((one, k) => one * data.shape[k]));
    x0 = (low[0] + high[0]) / 2;
    y0 = (low[1] + high[1]) / 2;
    zoom = 0.94 * Math.min(width / (high[0] - low[0] || 1), height / (high[1] - low[1] || 1));
  }

  function paint() {
    asked = false;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const t = Number(when.value);
    const radius = Math.min(4, 1.3 + Math.sqrt(zoom / 1500));
    const looks = [[colors.muted, 0.3], [colors.one, 0.5], [colors.one, 0.85], [colors.two, 1]];
    looks.forEach(([color, alpha], kind) => {
      context.fillStyle = color;
      context.globalAlpha = alpha;
      for (let word = 0; word < size; word++) {
        if (kinds[word] !== kind) continue;
        const [x, y] = at(word, t);
        if (x > -5 && y > -5 && x < width + 5 && y < height + 5) context.fillRect(x - radius / 2, y - radius / 2, radius, radius);
      }
    });
    context.globalAlpha = 1;
    const movers = arrows.checked && data.known ? data.farthest : [];
    for (const word of movers) if (!marked.includes(word)) arrow(word, colors.two, 1.2);
    for (const word of marked) arrow(word, colors.ink, 2);
    labels([...marked, ...movers], t);
  }

  function arrow(word, color, thick) {
    const [x, y] = at(word, 0);
    const [u, v] = at(word, 1);
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = thick;
    const angle = Math.atan2(v - y, u - x);
    if (Math.hypot(u - x, v - y) > 3) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(u, v);
      for (const side of [2.6, -2.6]) {
        context.moveTo(u, v);
        context.lineTo(u + 7 * Math.cos(angle + side), v + 7 * Math.sin(angle + side));
      }
      context.stroke();
    }
    context.beginPath();
    context.arc(...at(word, Number(when.value)), thick + 1.4, 0, 7);
    context.fill();
  }

  function labels(first, t) {
    const boxes = [];
    let room = first.length + Math.round(width * height / 14000);
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const write = (word, strong) => {
      const [x, y] = at(word, t);
      if (x < 0 || y < 0 || x > width || y > height) return;
      context.font = `${strong ? "600 13px" : "12px"} system-ui, sans-serif`;
      const text = data.words[word].slice(0, 24);
      const long = context.measureText(text).width;
      const left = x + long + 8 > width ? x - long - 7 : x + 7;
      const box = [left - 2, y - 8, left + long + 2, y + 8];
      if (boxes.some((b) => b[0] < box[2] && box[0] < b[2] && b[1] < box[3] && box[1] < b[3])) return;
      boxes.push(box);
      room--;
      context.strokeStyle = colors.paper;
      context.lineWidth = 3;
      context.strokeText(text, left, y);
      context.fillStyle = strong ? colors.ink : colors.muted;
      context.fillText(text, left, y);
    };
    first.forEach((word) => write(word, true));
    for (let word = 0; word < Math.min(size, 4000) && room > 0; word++) if (!first.includes(word)) write(word, false);
  }

  function draw() {
    if (!asked) requestAnimationFrame(paint);
    asked = true;
  }

  function restyle() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "ink", "muted", "one", "two"]) colors[name] = style.getPropertyValue(`--${name}`).trim();
    const legend = document.getElementById("legend");
    const texts = far.length
      ? [["muted", "did not move"], ["one", `moved up to ${percent(limits[1])}`], ["two", `moved farther: the last 5% of those that moved`]]
      : [["muted", "no word of the page is known to have moved"]];
    legend.replaceChildren(...texts.map(([color, text]) => {
      const item = element("li");
      const dot = element("i");
      dot.style.background = colors[color];
      item.append(dot, text);
      return item;
    }));
    draw();
  }

  function resize() {
    const first = !width;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (first && width) whole();
    draw();
  }

  function zoomBy(factor, x = width / 2, y = height / 2) {
    const wanted = Math.min(Math.max(zoom * factor, width / 4), width * 400);
    const rest = 1 / zoom - 1 / wanted;
    x0 += (x - width / 2) * rest;
    y0 -= (y - height / 2) * rest;
    zoom = wanted;
    draw();
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const [x, y, t] = [event.clientX - box.left, event.clientY - box.top, Number(when.value)];
    let best = -1;
    let least = 14 * 14;
    for (let word = 0; word < size; word++) {
      const [u, v] = at(word, t);
      const distance = (u - x) ** 2 + (v - y) ** 2;
      if (distance < least) [best, least] = [word, distance];
    }
    return best;
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
  canvas.addEventListener("pointermove", (event) => {
    if (held && event.buttons) {
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (!held.moved && Math.hypot(dx, dy) < 5) return;
      if (!held.moved) canvas.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY, moved: true };
      x0 -= dx / zoom;
      y0 += dy / zoom;
      tip.hidden = true;
      draw();
      return;
    }
    const word = nearest(event);
    tip.hidden = word < 0;
    if (word < 0) return;
    const moved = data.movement[word];
    tip.textContent = data.words[word] + (moved > 0 ? `: moved ${percent(moved)}` : "");
    const [x, y] = at(word, Number(when.value));
    tip.style.left = `${Math.max(0, Math.min(x + 12, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(0, y - 32)}px`;
  });
  canvas.addEventListener("pointerup", (event) => {
    const word = held && !held.moved ? nearest(event) : -1;
    held = null;
    if (word >= 0) select(word);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = 60 / zoom;
    const keys = {
      ArrowLeft: () => { x0 -= step; }, ArrowRight: () => { x0 += step; },
      ArrowUp: () => { y0 += step; }, ArrowDown: () => { y0 -= step; },
      "+": () => zoomBy(1.3), "=": () => zoomBy(1.3), "-": () => zoomBy(1 / 1.3), "0": whole,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
    draw();
  });
  document.getElementById("closer").addEventListener("click", () => zoomBy(1.4));
  document.getElementById("farther").addEventListener("click", () => zoomBy(1 / 1.4));
  document.getElementById("whole").addEventListener("click", () => { whole(); draw(); });
  when.addEventListener("input", draw);
  arrows.addEventListener("change", draw);
  if (!data.known) when.parentNode.hidden = arrows.parentNode.hidden = true;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  new ResizeObserver(resize).observe(canvas);
  restyle();
  return { mark(words) { marked = [...words]; draw(); } };
}
