// Moving through the noise of a generator.
import { call, element, oneAtATime } from "/api.js";

const REACH = 2; // of the pad, in directions of the noise

export function startSampling() {
  const get = (id) => document.getElementById(id);
  const [pad, point, along, up] = ["pad", "point", "along", "up"].map(get);
  let seed = 1;
  let base, right, upward; // vectors of noise

  const draw = oneAtATime(async () => {
    const [x, y] = [along.value / 100 * REACH, up.value / 100 * REACH];
    const noise = base.map((z, i) => z + x * right[i] + y * upward[i]);
    const { images, ...size } = await call("/v1/sample", { noise: [noise] });
    paint(get("image"), images[0], size);
  });

  const renew = oneAtATime(async () => {
    const { images, noise, ...size } = await call("/v1/sample", { count: 18, seed });
    [right, upward] = [noise[16], noise[17]];
    use(noise[0]);
    get("sample-note").textContent = `Seed ${seed}`;
    get("grid").replaceChildren(...images.slice(0, 16).map((image, i) => {
      const canvas = element("canvas", "pixels");
      paint(canvas, image, size);
      const button = element("button", "", canvas);
      button.type = "button";
      button.setAttribute("aria-label", `Image ${i + 1} of 16`);
      button.addEventListener("click", () => use(noise[i]));
      return button;
    }));
  });

  function use(noise) {
    base = noise;
    along.value = up.value = 0;
    moved();
  }

  function moved() {
    point.style.left = `${50 + along.value / 2}%`;
    point.style.top = `${50 - up.value / 2}%`;
    draw();
  }

  function follow(event) {
    const box = pad.getBoundingClientRect();
    along.value = Math.round(200 * ((event.clientX - box.left) / box.width - 0.5));
    up.value = Math.round(-200 * ((event.clientY - box.top) / box.height - 0.5));
    moved();
  }
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    follow(event);
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) follow(event);
  });
  along.addEventListener("input", moved);
  up.addEventListener("input", moved);
  get("again").addEventListener("click", () => { seed += 1; renew(); });
  renew();
}

function paint(canvas, pixels, { height, width, channels }) {
  Object.assign(canvas, { height, width });
  const context = canvas.getContext("2d"), data = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    const pixel = [0, 1, 2].map((c) => pixels[i * channels + Math.min(c, channels - 1)]);
    data.data.set([...pixel, 255], 4 * i);
  }
  context.putImageData(data, 0, 0);
}
