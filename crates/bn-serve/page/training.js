// Training runs: curves and histograms, live.
import { call, element, histogram, oneAtATime, problem, short, svg } from "/api.js";

const get = (id) => document.getElementById(id);
const WIDTH = 480, HEIGHT = 260, LEFT = 60, RIGHT = 12, TOP = 10, BOTTOM = 26;

let runs = new Map(); // by name: { losses, evaluations, layers, state }
let isAsked = false;

export function startTraining(canStart) {
  const events = new EventSource("/events");
  events.onopen = () => { runs = new Map(); render(); }; // the history comes again
  events.onmessage = ({ data }) => { take(JSON.parse(data)); render(); };
  get("what").addEventListener("change", render);
  if (!canStart) return;

  get("start").hidden = get("stop").hidden = false;
  const update = oneAtATime(async () => {
    const { running } = await call("/v1/train");
    get("start").disabled = running;
    get("stop").disabled = !running;
  });
  const press = (method) => async () => {
    try {
      await call("/v1/train", {}, method);
    } catch (error) {
      problem(error.message);
    }
    update();
  };
  get("start").addEventListener("click", press("POST"));
  get("stop").addEventListener("click", press("DELETE"));
  update();
  setInterval(() => { if (!get("training").hidden) update(); }, 1000);
}

function take(event) {
  if (event.type === "started") runs.delete(event.run);
  if (!runs.has(event.run)) runs.set(event.run, { losses: [], evaluations: [], layers: [], state: "running" });
  const run = runs.get(event.run);
  if (event.type === "step") run.losses.push([event.iteration, event.loss]);
  if (event.type === "evaluation") run.evaluations.push(event);
  if (event.type === "layers") run.layers = event.layers;
  if (event.type === "finished") run.state = event.error ?? "finished";
}

/** Draws everything, at most once for each frame. */
function render() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    const all = [...runs.entries()].sort(([a], [b]) => (a < b ? -1 : 1)); // a run keeps its colour
    chart(get("loss"), all.map(([, run]) => smooth(run.losses)), false);
    chart(get("accuracy"), all.map(([, run]) => run.evaluations.map((e) => [e.iteration, e.test_accuracy])), true);
    table(all);
    layers(all);
    const running = all.filter(([, run]) => run.state === "running").map(([name]) => name);
    const text = all.length === 0 ? "Waiting for a training run."
      : running.length === 0 ? "Finished." : `Training ${running.join(" and ")}.`;
    if (get("state").textContent !== text) get("state").textContent = text;
  });
}

/** Means of neighbours, so that at most 160 points are left. */
function smooth(points) {
  const by = Math.ceil(points.length / 160);
  if (by <= 1) return points;
  const means = [];
  for (let i = 0; i + by <= points.length; i += by) {
    const some = points.slice(i, i + by).filter(([, y]) => y !== null);
    if (some.length > 0) means.push([some.at(-1)[0], some.reduce((sum, [, y]) => sum + y, 0) / some.length]);
  }
  return means;
}

function chart(place, series, isShare) {
  series = series.map((points) => points.filter(([, y]) => y !== null));
  const points = series.flat();
  const [low, high] = isShare ? [0, 1] : [0, Math.max(...points.map(([, y]) => y), 0.1)];
  const last = Math.max(...points.map(([x]) => x), 1);
  const x = (value) => LEFT + value / last * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
  const parts = ticks(high).map((value) => {
    const text = isShare ? `${Math.round(100 * value)} %` : short(value);
    return [
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, text),
    ];
  });
  if (points.length > 0) {
    parts.push(ticks(last).map((value) => svg("text", { x: x(value), y: HEIGHT - 6, "text-anchor": "middle" }, short(value))));
  }
  series.forEach((line, i) => {
    const d = line.map(([at, value], j) => `${j ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    parts.push(svg("path", { class: `s${i % 4}`, d }));
  });
  place.replaceChildren(...parts.flat());
}

/** Three to six round numbers from 0 to `high`. */
function ticks(high) {
  const raw = high / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999) * power;
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
}

function table(all) {
  const rows = all.map(([name, run], i) => {
    const last = run.evaluations.at(-1), share = last?.test_accuracy;
    const cells = [
      last ? last.epoch.toFixed(0) : "–", short(run.losses.at(-1)?.[1]), short(last?.test_loss),
      share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`,
    ];
    const head = element("th", `s${i % 4}`, element("span", "swatch"), name);
    head.scope = "row";
    if (!["running", "finished"].includes(run.state)) head.append(`: ${run.state}`);
    return element("tr", "", head, ...cells.map((text) => element("td", "", text)));
  });
  get("runs").tBodies[0].replaceChildren(...rows);
}

function layers(all) {
  const what = get("what").value;
  get("histograms").hidden = all.every(([, run]) => run.layers.length === 0);
  get("histogram-list").replaceChildren(...all.map(([name, run], i) => {
    const rows = run.layers.filter((layer) => layer[what]).map((layer) =>
      element("div", "one", element("span", "small", layer.name), histogram(layer[what])));
    return element("article", `card s${i % 4}`, element("h3", "", element("span", "swatch"), name), ...rows);
  }));
}
