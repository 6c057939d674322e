"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const holder = document.getElementById("map"), canvas = holder.querySelector("canvas");
  const tip = document.getElementById("tip"), chosen = document.getElementById("chosen");
  const pen = canvas.getContext("2d");
  const shown = {};
  let view = null, ratio = 1, drag = null, picked = null, waiting = false;

  const patterns = new Map();
  const hatch = (colour, gap, both) => {
    const key = `${colour} ${gap} ${both} ${ratio}`;
    if (patterns.has(key)) return patterns.get(key);
    const tile = document.createElement("canvas");
    tile.width = tile.height = gap * ratio;
    const t = tile.getContext("2d"), n = tile.width;
    t.strokeStyle = t.fillStyle = colour; t.lineWidth = ratio;
    t.beginPath();
    if (both === "dots") { t.arc(n / 2, n / 2, 1.1 * ratio, 0, 7); t.fill(); } else for (const k of [-n, 0, n]) { t.moveTo(k, n); t.lineTo(k + n, 0); if (both) { t.moveTo(k, 0); t.lineTo(k + n, n); } }
    t.stroke();
    patterns.set(key, pen.createPattern(tile, "repeat"));
    return patterns.get(key);
  };
  // Coordinates are decimetres from the middle, east and north.
  const paths = new Map();
  const pathOf = (feature) => {
    if (!paths.has(feature)) {
      const path = new Path2D();
      for (const ring of feature.rings) {
        path.moveTo(ring[0], -ring[1]);
        for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], -ring[i + 1]);
        if (!feature.open) path.closePath();
      }
      paths.set(feature, path);
    }
    return paths.get(feature);
  };
  const fit = () => {
    const [w, s, e, n] = data.extent, width = canvas.width, height = canvas.height;
    const scale = 0.92 * Math.min(width / Math.max(e - w, 1), height / Math.max(n - s, 1));
    view = { x: (w + e) / 2, y: (s + n) / 2, scale };
    redraw();
  };
  const toScreen = (x, y) => [(x - view.x) * view.scale + canvas.width / 2, (view.y - y) * view.scale + canvas.height / 2];
  const toGround = (px, py) => [(px - canvas.width / 2) / view.scale + view.x, view.y - (py - canvas.height / 2) / view.scale];
  const place = () => pen.setTransform(view.scale, 0, 0, view.scale, canvas.width / 2 - view.x * view.scale, canvas.height / 2 + view.y * view.scale);

  const marks = {
    circle: (x, y, r) => { pen.arc(x, y, r, 0, 7); },
    square: (x, y, r) => { pen.rect(x - r * .9, y - r * .9, r * 1.8, r * 1.8); },
    triangle: (x, y, r) => polygon(x, y, r * 1.15, 3), diamond: (x, y, r) => polygon(x, y, r * 1.15, 4),
    pentagon: (x, y, r) => polygon(x, y, r, 5), hexagon: (x, y, r) => polygon(x, y, r, 6), star: (x, y, r) => polygon(x, y, r * 1.2, 10, .45),
    semi_circle: (x, y, r) => { pen.arc(x, y, r, Math.PI, 0); pen.closePath(); },
    cross_fill: (x, y, r) => { const t = r * .4; pen.rect(x - r, y - t, 2 * r, 2 * t); pen.rect(x - t, y - r, 2 * t, 2 * r); },
  };
  const polygon = (x, y, r, n, inner = 1) => {
    for (let i = 0; i < n; i++) {
      const a = -Math.PI / 2 + (2 * Math.PI * i) / n, q = i % 2 ? r * inner : r;
      pen[i ? "lineTo" : "moveTo"](x + q * Math.cos(a), y + q * Math.sin(a));
    }
    pen.closePath();
  };
  const draw = () => {
    waiting = false;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#f4f1ea";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const layer of data.layers) {
      if (!shown[layer.name]) continue;
      if (layer.images) for (const image of layer.images) {
        const [x0, y0] = toScreen(image.west, image.north), [x1, y1] = toScreen(image.east, image.south);
        if (image.loaded) pen.drawImage(image.loaded, x0, y0, x1 - x0, y1 - y0);
      }
      for (const feature of layer.features || []) {
        const style = layer.styles[feature.style];
        if (feature.rings) {
          const path = pathOf(feature);
          place();
          if (style.fill && !(style.fades && view.scale / ratio > 2)) { pen.fillStyle = style.fill; pen.fill(path, "evenodd"); }
          if (style.hatch) {
            const pattern = hatch(style.hatch, style.gap || 9, style.both);
            pattern.setTransform(new DOMMatrix().scale(1 / view.scale));
            pen.fillStyle = pattern; pen.fill(path, "evenodd");
          }
          if (style.line) {
            pen.strokeStyle = style.line; pen.lineWidth = (style.width || 1) * ratio / view.scale;
            pen.setLineDash((style.dash || []).map((d) => d * ratio / view.scale)); pen.stroke(path);
          }
        } else {
          const [x, y] = toScreen(feature.x, feature.y), r = (feature === picked ? 8 : style.size || 5) * ratio;
          if (x < -20 || y < -20 || x > canvas.width + 20 || y > canvas.height + 20) continue;
          pen.setTransform(1, 0, 0, 1, 0, 0); pen.setLineDash([]);
          pen.beginPath(); marks[style.mark](x, y, r);
          pen.fillStyle = style.fill; pen.fill();
          pen.strokeStyle = feature.strong ? "#000" : "#fff"; pen.lineWidth = (feature.strong ? 2.2 : 1) * ratio; pen.stroke();
        }
      }
    }
    pen.setTransform(1, 0, 0, 1, 0, 0); pen.setLineDash([]);
    if (picked && picked.rings) { place(); pen.strokeStyle = "#000"; pen.lineWidth = 3 * ratio / view.scale; pen.stroke(pathOf(picked)); }
    names(); scaleBar();
  };
  const names = () => {
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.font = `600 ${13 * ratio}px system-ui, sans-serif`; pen.textAlign = "center";
    pen.lineWidth = 3.5 * ratio; pen.strokeStyle = "rgba(255,255,255,.9)"; pen.fillStyle = "#333";
    for (const name of data.names) {
      if (!shown.districts) return;
      const [x, y] = toScreen(name.x, name.y);
      pen.strokeText(name.text, x, y); pen.fillText(name.text, x, y);
    }
  };
  const scaleBar = () => {
    const metre = 10 * view.scale, most = 160 * ratio;
    let length = 10 ** Math.floor(Math.log10(most / metre));
    for (const k of [5, 2]) if (length * k * metre <= most) { length *= k; break; }
    const x = 14 * ratio, y = canvas.height - 16 * ratio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "rgba(255,255,255,.85)"; pen.fillRect(x - 6 * ratio, y - 20 * ratio, length * metre + 12 * ratio, 28 * ratio);
    pen.fillStyle = "#333"; pen.fillRect(x, y, length * metre, 3 * ratio);
    pen.font = `${12 * ratio}px system-ui, sans-serif`; pen.textAlign = "left";
    pen.fillText(length >= 1000 ? `${length / 1000} km` : `${length} m`, x, y - 5 * ratio);
  };
  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  const resize = () => {
    ratio = window.devicePixelRatio || 1;
    const before = view && { ...view }, width = canvas.width;
    canvas.width = Math.max(1, Math.round(holder.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(holder.clientHeight * ratio));
    if (before) { view.scale = before.scale * canvas.width / width; draw(); } else fit();
  };
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio]; };
  const find = (px, py) => {
    const [gx, gy] = toGround(px, py);
    for (const layer of [...data.layers].reverse()) {
      if (!shown[layer.name]) continue;
      let best = null, least = (10 * ratio) ** 2;
      for (const feature of layer.features || []) {
        if (feature.rings) {
          if (feature.open) continue;
          pen.setTransform(1, 0, 0, 1, 0, 0);
          if (pen.isPointInPath(pathOf(feature), gx, -gy, "evenodd")) return feature;
        } else {
          const [x, y] = toScreen(feature.x, feature.y), d = (x - px) ** 2 + (y - py) ** 2;
          if (d < least) { least = d; best = feature; }
        }
      }
      if (best) return best;
    }
    return null;
  };
  const zoomAt = (px, py, factor) => {
    const [gx, gy] = toGround(px, py);
    view.scale = Math.min(Math.max(view.scale * factor, 1e-5), 50);
    const [nx, ny] = toGround(px, py);
    view.x += gx - nx; view.y += gy - ny;
    redraw();
  };
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoomAt(...at(event), Math.exp(-event.deltaY / 400)); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { at: at(event), from: [view.x, view.y], moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = at(event);
    if (drag) {
      if (Math.hypot(px - drag.at[0], py - drag.at[1]) > 4 * ratio) drag.moved = true;
      view.x = drag.from[0] - (px - drag.at[0]) / view.scale; view.y = drag.from[1] + (py - drag.at[1]) / view.scale;
      tip.style.display = "none";
      redraw();
      return;
    }
    const feature = find(px, py);
    canvas.style.cursor = feature ? "pointer" : "grab";
    tip.style.display = feature && feature.tip ? "block" : "none";
    if (feature) {
      tip.textContent = feature.tip;
      tip.style.left = `${Math.min(px / ratio + 14, holder.clientWidth - 240)}px`; tip.style.top = `${py / ratio + 14}px`;
    }
  });
  const drop = (event) => {
    if (drag && !drag.moved) {
      picked = find(...at(event));
      chosen.textContent = picked ? picked.tip : "";
      redraw();
    }
    drag = null;
  };
  canvas.addEventListener("pointerup", drop);
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
  canvas.addEventListener("keydown", (event) => {
    const step = 60 * ratio / view.scale, middle = [canvas.width / 2, canvas.height / 2];
    const act = { ArrowLeft: () => { view.x -= step; }, ArrowRight: () => { view.x += step; }, ArrowUp: () => { view.y += step; }, ArrowDown: () => { view.y -= step; },
      "+": () => zoomAt(...middle, 1.5), "=": () => zoomAt(...middle, 1.5), "-": () => zoomAt(...middle, 1 / 1.5), "0": fit }[event.key];
    if (act) { event.preventDefault(); act(); redraw(); }
  });
  document.getElementById("zoom").addEventListener("click", (event) => {
    const what = event.target.dataset.do, middle = [canvas.width / 2, canvas.height / 2];
    if (what === "in") zoomAt(...middle, 1.6); else if (what === "out") zoomAt(...middle, 1 / 1.6); else if (what === "fit") fit();
  });
  for (const box of document.querySelectorAll("#layers input")) {
    shown[box.name] = box.checked;
    box.addEventListener("change", () => { shown[box.name] = box.checked; picked = null; redraw(); });
  }
  for (const layer of data.layers) for (const image of layer.images || []) {
    const loaded = new Image();
    loaded.onload = () => { image.loaded = loaded; redraw(); };
    loaded.src = image.src;
  }
  new ResizeObserver(resize).observe(holder);
  window.addEventListener("beforeprint", draw);
  resize();
})();
