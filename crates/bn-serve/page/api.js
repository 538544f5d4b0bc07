// Requests to the server, and what the views share.

/** The answer of the API as an object. Throws an Error with the server's message. */
export async function call(path, body, method = body === undefined ? "GET" : "POST") {
  const request = { method };
  if (method === "POST") {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

/** Runs `work` whenever asked, one run at a time; what is asked during a run is one more run. */
export function oneAtATime(work) {
  let running = false, again = false;
  return async function ask() {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await work();
        problem("");
      }
    } catch (error) {
      problem(error.message);
    } finally {
      running = false;
    }
  };
}

/** Shows what went wrong, or nothing. */
export function problem(message) {
  const place = document.getElementById("problem");
  if (place.textContent !== message) place.textContent = message;
  place.hidden = !message;
}

/** An element with a class, text or children. */
export function element(name, className = "", ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** A number in at most three digits. */
export function short(x) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  if (size !== 0 && (size < 0.001 || size >= 10000)) return x.toExponential(1);
  return String(Number(x.toPrecision(3)));
}

/** Three colour components of the style sheet, such as "34 87 197". */
export function colour(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name);
  return value.trim().split(/\s+/).map(Number);
}

/** Calls `f` now and when the colours change. */
export function withColours(f) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", f);
}

/** A histogram of the server as a picture with its ends. */
export function histogram({ low, high, counts, mean, std }) {
  const most = Math.max(...counts, 1), width = 100 / counts.length;
  const bars = counts.map((count, i) => {
    const height = count === 0 ? 0 : Math.max(1, 38 * count / most);
    return `M${i * width} 40v${-height}h${width * 0.9}v${height}z`;
  });
  const picture = svg("svg", {
    class: "histogram", viewBox: "0 0 100 41", preserveAspectRatio: "none", role: "img",
    "aria-label": `From ${short(low)} to ${short(high)}, mean ${short(mean)}, standard deviation ${short(std)}`,
  });
  picture.append(svg("line", { x1: 0, x2: 100, y1: 40.5, y2: 40.5 }), svg("path", { d: bars.join("") }));
  return element("div", "", picture,
    element("div", "ends", element("span", "", short(low)), element("span", "", short(high))));
}
