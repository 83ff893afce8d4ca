// The script of a report: sortable tables and the search for words. `map.js` follows it in the page.
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
