// Put into the page before its own scripts: when is what a points frame brought in the picture? See ../pixel.py.

(() => {
  // One clock for all: Date.now(), but finer. Taken at the moment at which Date.now() steps on.
  const start = Date.now();
  while (Date.now() === start);
  const epoch = Date.now() - performance.now();
  const now = () => epoch + performance.now();
  const fresh = () => ({ seen: [], read: 0, unchanged: 0, right: 0, wrong: 0, readback: [] });
  const probe = (window.probe = { ...fresh(), begin: () => Object.assign(probe, fresh()) });
  let context = null;
  let waiting = [];

  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      if (!String(given[0]).includes("/trainlive/ws/training/")) return;
      this.addEventListener("message", (event) => {
        const arrived = now();
        const frame = JSON.parse(event.data);
        const loss = frame.type === "points" && frame.series.loss;
        if (loss) loss.time.forEach((t, k) => waiting.push({ step: loss.step[k], logged: t * 1e3, arrived }));
      });
    }
  };

  const channel = new MessageChannel();
  let drawn = false;
  let before = 0;
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...area) {
    if (!drawn && waiting.length && this.canvas.closest(".tl-main-chart")) {
      drawn = true;
      context = this;
      channel.port1.postMessage(0);
    }
    return clear.apply(this, area);
  };

  channel.port2.onmessage = () => {
    drawn = false;
    const painted = now();
    const { canvas } = context;
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    probe.readback.push(now() - painted);
    probe.read += 1;
    const words = new Uint32Array(data.buffer);
    let sum = 0;
    for (let k = 0; k < words.length; k += 1) sum = (sum * 31 + words[k]) | 0;
    if (sum === before) {
      probe.unchanged += 1;
      return;
    }
    before = sum;
    const shown = waiting.map((each) => ({ ...each, painted }));
    waiting = [];
    check(data, width, height, shown[shown.length - 1]);
    requestAnimationFrame(() => {
      const next = now();
      for (const each of shown) probe.seen.push({ ...each, next });
    });
  };

  // Curves are the only thing in colour. Does the newest column of the main one stand where the newest value is?
  const check = (data, width, height, newest) => {
    if (!newest) return;
    let top = height, bottom = -1, last = -1, sum = 0, n = 0;
    for (let x = width - 1; x >= 0; x -= 1) {
      for (let y = 0; y < height; y += 1) {
        const at = 4 * (y * width + x);
        const high = Math.max(data[at], data[at + 1], data[at + 2]);
        const low = Math.min(data[at], data[at + 1], data[at + 2]);
        if (data[at + 3] < 60 || high - low < 50) continue;
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
        if (last < 0) last = x;
        if (last === x) { sum += y; n += 1; }
      }
      if (last >= 0 && x < last - 60) break;
    }
    if (n === 0) return;
    const isHigh = sum / n < (top + bottom) / 2;
    if (isHigh === (newest.step % 2 === 1)) probe.right += 1;
    else probe.wrong += 1;
  };
})();
