// The map of words of a report; `page.js` calls `wordMap`.
"use strict";

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
