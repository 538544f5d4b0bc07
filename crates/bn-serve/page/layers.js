// The activations of each layer, with Batch Normalization before and after.
import { colour, element, histogram, short } from "/api.js";

const list = document.getElementById("layer-list");

/** Shows the answer of /v1/activations; null hides it. */
export function showLayers(activations) {
  document.getElementById("layers").hidden = activations === null;
  if (activations === null) return;
  const colours = { zero: colour("--zero"), negative: colour("--negative"), positive: colour("--positive") };
  list.replaceChildren(...cardsOf(activations.layers, activations.input, "", colours));
}

/** The cards of a chain of layers; `where` says inside which block it is. */
function cardsOf(layers, input, where, colours) {
  const isNorm = (layer) => layer?.kind === "BatchNormalization";
  const nameOf = (layer) => `${layer.index} ${layer.name}`;
  const cards = [];
  layers.forEach((layer, i) => {
    const before = layers[i - 1], given = before?.output ?? input;
    for (const branch of layer.branches ?? []) {
      const inside = [where + nameOf(layer), branch.name].filter(Boolean).join(" › ");
      cards.push(...cardsOf(branch.layers, given, `${inside} › `, colours));
    }
    if (isNorm(layers[i + 1])) return; // it is shown as what comes before
    const after = side(isNorm(layer) ? "after" : "", layer.output, colours);
    const sides = element("div", "sides", after);
    const names = [nameOf(layer)];
    if (isNorm(layer)) {
      sides.prepend(side("before", given, colours));
      if (before) names.unshift(nameOf(before));
    }
    const title = element("div", "title", element("h3", "", where + names.join(" → ")),
      element("span", "muted small", layer.output.shape.join("×")));
    const card = element("article", `card layer${isNorm(layer) ? " norm" : ""}`, title, sides);
    // Plain layers that follow each other share a row.
    if (isNorm(layer)) cards.push(card);
    else if (cards.at(-1)?.className === "plain") cards.at(-1).append(card);
    else cards.push(element("div", "plain", card));
  });
  return cards;
}

function side(when, output, colours) {
  const { mean, std } = output.histogram;
  const label = when ? `${when} Batch Normalization` : "output";
  const text = element("p", "muted small", `${label}: mean ${short(mean)}, deviation ${short(std)}`);
  const maps = element("div", "maps", ...heatMaps(output, colours));
  const one = element("div", when === "after" ? "side s0" : "side", text, maps, histogram(output.histogram));
  if (when === "before") one.classList.add("s1");
  return one;
}

/** One canvas for each feature map, or one for a vector. */
function heatMaps({ maps = [], values = [] }, colours) {
  const all = maps.length > 0 ? maps : [vector(values)];
  const largest = Math.max(...all.flatMap((map) => map.values.map(Math.abs)), 1e-12);
  return all.map((map) => {
    const canvas = element("canvas", maps.length > 0 ? "pixels" : "pixels vector");
    canvas.width = map.width;
    canvas.height = map.height;
    if (maps.length === 0) canvas.style.width = `${map.width * 0.7}rem`;
    canvas.setAttribute("aria-hidden", "true"); // the histogram has the numbers
    const context = canvas.getContext("2d"), data = context.createImageData(map.width, map.height);
    map.values.forEach((value, i) => {
      const { zero } = colours, full = value < 0 ? colours.negative : colours.positive;
      const share = Math.abs(value) / largest;
      data.data.set([...zero.map((z, c) => z + (full[c] - z) * share), 255], 4 * i);
    });
    context.putImageData(data, 0, 0);
    return canvas;
  });
}

/** A vector in rows of at most 32 values. */
function vector(values) {
  const width = Math.max(1, Math.min(32, values.length));
  return { width, height: Math.max(1, Math.ceil(values.length / width)), values };
}
