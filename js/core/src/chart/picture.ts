// A plot as a picture of its own, with its title, axes and a legend, apart from the page: as SVG, or painted.

import type { LensState } from "../data/lens";
import type { PlacedMark } from "../data/marks";
import { shortened } from "../data/visible";
import { sceneInk } from "./canvas";
import { paint, svgText, type Box, type Ink } from "./ink";
import { axisTitle } from "./readings";
import { scaleOf } from "./scales";
import { isLogX, type Scene } from "./scene";
import { axisTicks, valueTicks } from "./ticks";

export interface Picture {
  scene: Scene;
  lens: LensState;
  title: string;
  legend: readonly { label: string; color: string }[];
  width: number;
  height: number;
  font: string;
  color(property: string): string;
  marks: readonly PlacedMark[];
}

const SIZE = 11;
const LEFT = 58;
const RIGHT = 20;
const BOTTOM = 40;
/** Of the title, if there is one, and above all else. */
const TITLE = 22;
const TOP = 14;
/** About the width of a letter, in its height. */
const LETTER = 0.56;

interface Layout {
  inside: Ink[];
  around: Ink[];
  box: Box;
}

function laidOut({ scene, lens, title: whole, legend, width, height, color, marks }: Picture): Layout {
  // As many letters as there is room for.
  const title = shortened(whole, (width - LEFT - RIGHT) / (SIZE + 2) / LETTER);
  const most = (width - LEFT - RIGHT - 26) / SIZE / LETTER;
  const [fg, dim, grid] = [color("--tl-fg"), color("--tl-dim"), color("--tl-grid")];
  const around: Ink[] = title ? [{ kind: "text", x: LEFT, y: 20, text: title, color: fg, size: SIZE + 2, align: "start" }] : [];
  const above = TOP + (title ? TITLE : 0);
  // A legend in rows: several curves, or one by another name than the title's.
  let [x, rows] = [LEFT, 0];
  if (legend.length > 1 || legend.some(({ label }) => label !== whole)) {
    rows = 1;
    for (const { label: name, color: property } of legend) {
      const label = shortened(name, most);
      const wide = 26 + label.length * SIZE * LETTER;
      if (x > LEFT && x + wide > width - RIGHT) [x, rows] = [LEFT, rows + 1];
      const y = above + rows * 17 - 11;
      around.push({ kind: "line", points: [x, y, x + 14, y], color: color(property), width: 2 });
      around.push({ kind: "text", x: x + 19, y: y + 4, text: label, color: fg, size: SIZE, align: "start" });
      x += wide + 10;
    }
  }
  const top = above + rows * 17;
  const box = { left: LEFT, top, width: width - LEFT - RIGHT, height: height - above - BOTTOM };
  const x_scale = scaleOf(scene.x, scene.seen, box.left, box.left + box.width);
  const y_scale = scaleOf(scene.y, scene.values, box.top + box.height, box.top);
  const across = axisTicks(lens.axis, scene.seen, box.width / 80, isLogX(lens));
  const up = valueTicks(scene.values, box.height / 44, lens.logY);
  up.at.forEach((value, k) => {
    const y = y_scale(value);
    around.push({ kind: "line", points: [box.left, y, box.left + box.width, y], color: grid, width: 1 });
    around.push({ kind: "text", x: box.left - 8, y: y + 4, text: up.labels[k]!, color: dim, size: SIZE, align: "end" });
  });
  across.at.forEach((value, k) => around.push({ kind: "text", x: x_scale(value), y: box.top + box.height + 16, text: across.labels[k]!, color: dim, size: SIZE, align: "middle" }));
  around.push({ kind: "text", x: box.left + box.width, y: box.top + box.height + 33, text: axisTitle(lens.axis), color: dim, size: SIZE, align: "end" });
  return { inside: sceneInk(scene, marks, box, 1, true, color), around, box };
}

/** How high it is in all: a legend of several rows adds to it. */
function heightOf({ box }: Layout): number {
  return box.top + box.height + BOTTOM;
}

export function svgOf(picture: Picture): string {
  const layout = laidOut(picture);
  const size = { width: picture.width, height: heightOf(layout) };
  return svgText(size, picture.color("--tl-bg"), layout.box, layout.inside, layout.around, picture.font, picture.title);
}

/** A data URL; made at once, as who saves a notebook waits for nobody. */
export function pngOf(picture: Picture, scale: number): string {
  const layout = laidOut(picture);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(heightOf(layout) * scale);
  const ctx = canvas.getContext("2d")!;
  ctx.fillStyle = picture.color("--tl-bg");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.scale(scale, scale);
  paint(ctx, layout.around, picture.font);
  const { left, top, width, height } = layout.box;
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  paint(ctx, layout.inside, picture.font);
  return canvas.toDataURL("image/png");
}
