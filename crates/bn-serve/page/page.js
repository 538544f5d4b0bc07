// The tabs: only those of what the server offers.
import { call, problem } from "/api.js";
import { startDrawing } from "/draw.js";
import { startSampling } from "/sample.js";
import { startTraining } from "/training.js";

const shown = [];

function offer(name) {
  const tab = document.getElementById(`tab-${name}`);
  tab.hidden = false;
  tab.addEventListener("click", () => select(name));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = shown[(shown.indexOf(name) + step + shown.length) % shown.length];
    select(next);
    document.getElementById(`tab-${next}`).focus();
  });
  shown.push(name);
}

function select(name) {
  for (const other of shown) {
    const tab = document.getElementById(`tab-${other}`);
    tab.setAttribute("aria-selected", other === name);
    tab.tabIndex = other === name ? 0 : -1;
    document.getElementById(other).hidden = other !== name;
  }
  history.replaceState(null, "", `#${name}`);
}

function summary({ task, input, classes, parameters, layers }) {
  const outer = layers.filter((layer) => !layer.place.includes("."));
  const kind = task === "generator" ? `${input[0]} random numbers to an image`
    : `${input.join("×")} to ${classes.length || outer.at(-1).output.join("×")} classes`;
  return `${kind} · ${outer.length} layers · ${parameters.toLocaleString("en")} parameters`;
}

try {
  const offers = await call("/v1");
  if (offers.predict) offer("draw");
  if (offers.sample) offer("sample");
  if (offers.events) offer("training");
  const wanted = location.hash.slice(1);
  select(shown.includes(wanted) ? wanted : shown[0]);
  if (offers.predict || offers.sample) {
    const model = await call("/v1/model");
    document.getElementById("summary").textContent = summary(model);
    if (offers.predict) startDrawing(model, offers.activations);
    if (offers.sample) startSampling(model);
  }
  if (offers.events) startTraining(offers.train);
} catch (error) {
  problem(error.message);
}
