// The canvas of a plot: uPlot's axes and grid, and drawn on it by ourselves, the curves. uPlot counts in places, not in values.

import uPlot from "uplot";
import type { Lens } from "../data/lens";
import type { PlacedMark } from "../data/marks";
import { badInk, curveInk } from "./curves";
import { paint, type Box, type Ink } from "./ink";
import { markInk } from "./marking";
import { scaleOf } from "./scales";
import { isLogX, type Scene } from "./scene";
import { axisTicks, valueTicks, type Ticks } from "./ticks";

export interface CanvasOptions {
  lens: Lens;
  height: number;
  /** Axis labels; without them only the grid is drawn. */
  labelled: boolean;
  color(property: string): string;
  /** What is to be drawn now. */
  scene(): Scene;
  marks(): readonly PlacedMark[];
  /** Whether there is anything to count along the axes. */
  known(): boolean;
}

/** About what axes and padding take of a labelled plot: ticks are counted before it is laid out. */
const [ACROSS, UPRIGHT] = [66, 32];

/** All that lies in a plotting area, in canvas pixels, `ratio` of them to one of CSS. */
export function sceneInk(scene: Scene, marks: readonly PlacedMark[], box: Box, ratio: number, labelled: boolean, color: (property: string) => string): Ink[] {
  const x = scaleOf(scene.x, scene.seen, box.left, box.left + box.width);
  const y = scaleOf(scene.y, scene.values, box.top + box.height, box.top);
  const [background, amber] = [color("--tl-bg"), color("--tl-amber")];
  const drawn = scene.drawn.map((curve) => ({ ...curve, color: color(curve.color) }));
  return [
    ...markInk(marks, x, box, ratio, labelled, { line: color("--tl-dim"), alert: amber, background }),
    ...curveInk(drawn, x, y, box, ratio, background),
    ...badInk(drawn, x, box, ratio, amber),
  ];
}

export const fontOf = (host: Element): string => getComputedStyle(host).fontFamily || "sans-serif";

export function canvasIn(host: HTMLElement, width: number, { lens, height, labelled, color, scene, marks, known }: CanvasOptions): uPlot {
  const line = (property: string) => (): string => color(property);
  let [across, up]: Ticks[] = [];
  const axis: uPlot.Axis = {
    stroke: line("--tl-dim"),
    font: `10px ${fontOf(host)}`,
    grid: { stroke: line("--tl-grid"), width: 1 },
    ticks: { show: false },
  };
  // An empty plot has a grid but nothing to count. For no text, null: the empty one is drawn, and has styles computed.
  const labels = (ticks: Ticks | undefined): (string | null)[] => (ticks?.labels ?? []).map((label) => (labelled && known() && label) || null);
  return new uPlot(
    {
      width,
      height,
      // Whole pixels would turn a gentle slope into stairs.
      pxAlign: 0,
      padding: labelled ? [8, 22, 0, 0] : [6, 4, 2, 4],
      legend: { show: false },
      // What is logarithmic is so before it comes here.
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        {
          ...axis,
          size: labelled ? 24 : 0,
          gap: 6,
          grid: { show: false },
          splits: (plot) => {
            across = axisTicks(lens.state.axis, scene().seen, (plot.width - (labelled ? ACROSS : 0)) / 80, isLogX(lens.state));
            return across.at.map(scene().x.to);
          },
          values: () => labels(across),
        },
        {
          ...axis,
          size: labelled ? 44 : 0,
          gap: 8,
          splits: (plot) => {
            up = valueTicks(scene().values, (plot.height - (labelled ? UPRIGHT : 0)) / (labelled ? 36 : 30), lens.state.logY);
            return up.at.map(scene().y.to);
          },
          values: () => labels(up),
        },
      ],
      // The curves are ours.
      series: [{}],
      // So are the pointer and what it chooses: all plots of a view follow it, and it goes from point to point.
      cursor: { show: false },
      select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      hooks: {
        draw: [
          ({ ctx, bbox: { left, top, width: wide, height: high } }) => {
            const ratio = devicePixelRatio;
            const room = 4 * ratio;
            ctx.save();
            ctx.beginPath();
            ctx.rect(left - room, top - room, wide + 2 * room, high + 2 * room);
            ctx.clip();
            paint(ctx, sceneInk(scene(), marks(), { left, top, width: wide, height: high }, ratio, labelled, color), fontOf(host));
            ctx.restore();
          },
        ],
      },
    },
    [[0, 1]],
    host,
  );
}
