// uPlot without what the charts never ask of it. They take its layout, axes, grid and canvas, and draw the curves themselves;
// its own curves, points, legend, time axes, pointer and selection are half of it, and its package has no smaller build.
import { readFileSync } from "node:fs";

// Functions that nothing reaches with the options of chart/plot.ts: no time scale, no logarithmic one, no legend, no cursor, no series but x.
const unused = [
  ...["join", "fmtDate", "genTimeStuffs", "timeAxisStamps", "timeAxisVals", "timeAxisVal", "timeSeriesStamp", "timeSeriesVal", "logAxisSplits"],
  ...["asinhAxisSplits", "log10AxisValsFilt", "log2AxisValsFilt", "rangeAsinh", "snapLogY", "snapAsinhY", "seriesFillTo", "clipBandLine", "points"],
  ...["linear", "legendStroke", "legendFill", "cursorPointShow", "cursorPointFill", "cursorPointStroke", "cursorPointSize"],
  ...["initLegendRow", "initCursorPt", "addSeries", "delSeries", "drawSeries", "cacheStrokeFill", "drawPath", "fillStroke", "strokeFill", "doStroke", "doFill"],
  ...["resetYSeries", "toggleDOM", "setSeries", "setBand", "addBand", "delBand", "setAlpha", "setFocus", "syncLegend", "setLegend", "setLegendValues"],
  ...["mouseMove", "mouseDown", "mouseUp", "mouseLeave", "dblClick", "cacheMouse", "pubSync"],
  ...["updateCursor", "setSelect", "setSelH", "setSelV", "hideSelect", "cursorMove", "filtBtn0", "filtTarg", "closestIdxFromXpos"],
];
const replaced = [
  // The parts that are offered beside the class, which nothing here uses.
  [/^uPlot\.assign = assign;\n.*(?=^export )/ms, ""],
  // What a time axis would need is made as soon as the module is loaded.
  [/^const \[ timeIncrsMs.*\n.*genTimeStuffs\(1e-3\);$/m, "const timeIncrsMs = [], timeIncrsS = [], _timeAxisStampsMs = [], _timeAxisStampsS = [], timeAxisSplitsMs = noop, timeAxisSplitsS = noop;"],
];

function once(text, pattern, replacement) {
  if (!pattern.test(text)) throw new Error(`uPlot has changed: ${pattern} is not in it; look at scripts/uplot.mjs again`);
  return text.replace(pattern, replacement);
}

/** The module with empty functions in place of unused ones. */
export function lean(text) {
  for (const [pattern, replacement] of replaced) text = once(text, pattern, replacement);
  for (const name of unused) text = once(text, new RegExp(`^(\\t?)function ${name}\\(.*?^\\1}$`, "ms"), `$1function ${name}() {}`);
  return text;
}

/** For esbuild. */
export const leanUPlot = {
  name: "lean-uplot",
  setup(build) {
    build.onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => ({ contents: lean(readFileSync(path, "utf8")), loader: "js" }));
  },
};
