// Drawing, and what the network makes of it.
import { call, colour, element, oneAtATime, problem, withColours } from "/api.js";
import { showLayers } from "/layers.js";

const paper = document.getElementById("paper");
const STEP = 0.05; // of the keyboard's pen, as a part of the paper
const PEN = 0.08; // the width of the pen, as a part of the paper and of the image
const FINE = 4; // the image is drawn this many times larger, and reduced

/** The size of a square image that the model takes; undefined if it takes none. */
function imageOf([height, width, channels]) {
  if (width === undefined) {
    width = Math.round(Math.sqrt(height));
    [height, channels] = [height / width, 1];
  }
  return height === width && [1, 3].includes(channels) ? { side: height, channels } : undefined;
}

export function startDrawing(model, hasActivations) {
  const image = imageOf(model.input);
  if (!image) {
    problem("This model does not take square images, so there is nothing to draw. The API takes its rows: POST /v1/predict.");
    return;
  }
  let strokes = []; // each a list of points [x, y] from 0 to 1
  let pen = { x: 0.5, y: 0.5, isDown: false, isShown: false };
  const bars = makeBars(model);

  const classify = oneAtATime(async () => {
    redraw();
    if (strokes.length === 0) {
      bars.clear();
      showLayers(null);
      return;
    }
    const pixels = prepare(strokes, image);
    const body = { image: pixels };
    bars.show((await call("/v1/predict", body)).predictions[0]);
    if (hasActivations && strokes.length > 0) showLayers(await call("/v1/activations", body));
  });

  function redraw() {
    const ink = getComputedStyle(paper).color, size = paper.width, context = paper.getContext("2d");
    context.clearRect(0, 0, size, size);
    stroke(context, strokes, ink, size * PEN, ([x, y]) => [x * size, y * size]);
    if (pen.isShown) {
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
      context.lineWidth = 4;
      context.beginPath();
      context.arc(pen.x * size, pen.y * size, size * PEN / 2 + (pen.isDown ? 2 : 10), 0, 2 * Math.PI);
      context.stroke();
    }
    const label = strokes.length === 0 ? "empty" : `${strokes.length} ${strokes.length === 1 ? "stroke" : "strokes"}`;
    paper.setAttribute("aria-label", `Drawing area, ${label}`);
    show(strokes.length > 0 ? prepare(strokes, image) : [], image);
  }

  const place = (event) => {
    const box = paper.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  paper.addEventListener("pointerdown", (event) => {
    paper.setPointerCapture(event.pointerId);
    pen.isShown = pen.isDown = false;
    strokes.push([place(event)]);
    classify();
  });
  paper.addEventListener("pointermove", (event) => {
    if (!paper.hasPointerCapture(event.pointerId) || strokes.length === 0) return;
    // Not available everywhere; the last place is enough.
    const events = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(events.length > 0 ? events : [event]).map(place));
    redraw();
    classify();
  });
  paper.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) {
      pen.x = Math.min(1 - PEN / 2, Math.max(PEN / 2, pen.x + STEP * move[0]));
      pen.y = Math.min(1 - PEN / 2, Math.max(PEN / 2, pen.y + STEP * move[1]));
      if (pen.isDown) strokes.at(-1).push([pen.x, pen.y]);
    } else if (event.key === " ") {
      pen.isDown = !pen.isDown;
      if (pen.isDown) strokes.push([[pen.x, pen.y]]);
      bars.say(pen.isDown ? "Pen down" : "Pen up");
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    pen.isShown = true;
    classify();
  });
  paper.addEventListener("blur", () => { pen.isShown = pen.isDown = false; redraw(); });

  function clear() {
    strokes = [];
    pen = { x: 0.5, y: 0.5, isDown: false, isShown: false };
    classify();
  }
  document.getElementById("clear").addEventListener("click", clear);
  withColours(classify);
  classify();
}

/** Draws strokes through `place`, which says where a point is. */
function stroke(context, strokes, ink, width, place) {
  Object.assign(context, { strokeStyle: ink, lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...place(points[0]));
    for (const point of points) context.lineTo(...place(point));
    context.stroke();
  }
}

/** The strokes as the data sets have them: pixels from 0 to 255. Of MNIST, in 28×28 pixels, a digit fills 20 of them in
 * its longer side, and its centre of mass is in the middle; of the digits in 8×8 pixels it fills all. */
function prepare(strokes, { side, channels }) {
  const isMnist = side === 28, box = isMnist ? 20 : side, size = side * FINE;
  const width = box * FINE * PEN * 1.25;
  const xs = strokes.flat().map(([x]) => x), ys = strokes.flat().map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (box * FINE - width) / Math.max(right - left, bottom - top, 0.05);
  const draw = (dx, dy) => {
    const context = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
    stroke(context, strokes, "#000", width, ([x, y]) => [
      (x - (left + right) / 2) * scale + size / 2 + dx,
      (y - (top + bottom) / 2) * scale + size / 2 + dy,
    ]);
    const { data } = context.getImageData(0, 0, size, size);
    return (x, y) => data[4 * (y * size + x) + 3]; // the ink
  };
  let ink = draw(0, 0);
  if (isMnist) {
    let sum = 0, mx = 0, my = 0;
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        sum += ink(x, y);
        mx += ink(x, y) * (x + 0.5);
        my += ink(x, y) * (y + 0.5);
      }
    }
    if (sum > 0) ink = draw(size / 2 - mx / sum, size / 2 - my / sum);
  }
  const pixels = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 0;
      for (let i = 0; i < FINE * FINE; i++) sum += ink(x * FINE + i % FINE, y * FINE + Math.floor(i / FINE));
      for (let c = 0; c < channels; c++) pixels.push(Math.round(sum / FINE ** 2));
    }
  }
  return pixels;
}

/** Shows what the network sees. */
function show(pixels, { side, channels }) {
  const seen = document.getElementById("seen");
  seen.hidden = pixels.length === 0;
  if (seen.hidden) return;
  seen.width = seen.height = side;
  const context = seen.getContext("2d"), data = context.createImageData(side, side);
  const zero = colour("--zero"), full = colour("--positive");
  for (let i = 0; i < side * side; i++) {
    const ink = pixels[i * channels] / 255;
    data.data.set([...zero.map((z, c) => z + (full[c] - z) * ink), 255], 4 * i);
  }
  context.putImageData(data, 0, 0);
}

/** The bars of probabilities: of at most twelve classes all in order, of more the ten most probable. */
function makeBars({ classes, output }) {
  const list = document.getElementById("bars"), guess = document.getElementById("guess");
  const sure = document.getElementById("sure"), spoken = document.getElementById("spoken");
  const outputs = output.reduce((a, b) => a * b, 1), count = outputs === 1 ? 2 : outputs;
  const name = (label) => classes[label] ?? String(label);
  const rows = Array.from({ length: count <= 12 ? count : 10 }, (_, i) => {
    const row = { name: element("span", "name", name(i)), fill: element("div", "fill"), value: element("span", "value", "") };
    row.item = element("li", "", row.name, element("div", "track", row.fill), row.value);
    list.append(row.item);
    return row;
  });
  let timer;
  const say = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => { spoken.textContent = text; }, 400); // not while it is drawn
  };
  const percent = (p) => `${(100 * p).toFixed(p > 0.9995 || p < 0.0005 ? 0 : 1)} %`;
  return {
    say,
    show({ label, probabilities }) {
      const all = probabilities.length === 1 ? [1 - probabilities[0], probabilities[0]] : probabilities;
      let order = all.map((_, i) => i);
      if (rows.length < all.length) order = order.sort((a, b) => all[b] - all[a]).slice(0, rows.length);
      order.forEach((i, place) => {
        const row = rows[place];
        row.name.textContent = name(i);
        row.fill.style.transform = `scaleX(${all[i]})`;
        row.value.textContent = percent(all[i]);
        row.item.classList.toggle("top", i === label);
      });
      guess.textContent = name(label);
      sure.textContent = `with ${percent(all[label])}`;
      say(`${name(label)}, ${percent(all[label])}`);
    },
    clear() {
      for (const row of rows) {
        row.fill.style.transform = "scaleX(0)";
        row.value.textContent = "";
        row.item.classList.remove("top");
      }
      guess.textContent = "–";
      sure.textContent = "draw something";
    },
  };
}
