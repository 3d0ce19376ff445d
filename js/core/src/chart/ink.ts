// A drawing as plain values: made once, painted on a canvas or written as SVG. Pure but for the painting.

import { visible } from "../data/visible";

export type Ink =
  /** x and y by turns; a NaN lifts the pen. */
  | { kind: "line"; points: number[]; color: string; width: number; alpha?: number; dash?: readonly number[] }
  /** Left, top, width and height by turns. */
  | { kind: "bars"; bars: number[]; color: string; alpha: number }
  /** Closed shapes, each the x and y of its corners by turns. */
  | { kind: "shapes"; shapes: number[][]; color: string }
  /** Circles: the x and y of their middles by turns. */
  | { kind: "dots"; points: number[]; radius: number; color: string; fill: string; width: number }
  | { kind: "text"; x: number; y: number; text: string; color: string; size: number; align: "start" | "middle" | "end"; behind?: string };

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const ALIGN = { start: "left", middle: "center", end: "right" } as const;

/** Paints on a canvas; `font` is a family. */
export function paint(ctx: CanvasRenderingContext2D, inks: readonly Ink[], font: string): void {
  for (const ink of inks) {
    ctx.globalAlpha = "alpha" in ink ? (ink.alpha ?? 1) : 1;
    ctx.fillStyle = ctx.strokeStyle = ink.color;
    switch (ink.kind) {
      case "line":
        ctx.lineWidth = ink.width;
        ctx.lineJoin = ctx.lineCap = "round";
        ctx.setLineDash(ink.dash ? [...ink.dash] : []);
        trace(ctx, ink.points);
        ctx.stroke();
        break;
      case "bars":
        for (let k = 0; k < ink.bars.length; k += 4) ctx.fillRect(ink.bars[k]!, ink.bars[k + 1]!, ink.bars[k + 2]!, ink.bars[k + 3]!);
        break;
      case "shapes":
        ctx.beginPath();
        for (const corners of ink.shapes) {
          for (let k = 0; k < corners.length; k += 2) ctx[k === 0 ? "moveTo" : "lineTo"](corners[k]!, corners[k + 1]!);
        }
        ctx.fill();
        break;
      case "dots":
        ctx.lineWidth = ink.width;
        ctx.setLineDash([]);
        ctx.fillStyle = ink.fill;
        for (let k = 0; k < ink.points.length; k += 2) {
          ctx.beginPath();
          ctx.arc(ink.points[k]!, ink.points[k + 1]!, ink.radius, 0, 2 * Math.PI);
          ctx.fill();
          ctx.stroke();
        }
        break;
      case "text":
        ctx.font = `${ink.size}px ${font}`;
        ctx.textAlign = ALIGN[ink.align];
        ctx.textBaseline = "alphabetic";
        if (ink.behind) {
          ctx.strokeStyle = ink.behind;
          ctx.lineWidth = ink.size / 3;
          ctx.setLineDash([]);
          ctx.strokeText(ink.text, ink.x, ink.y);
        }
        ctx.fillText(ink.text, ink.x, ink.y);
        break;
    }
  }
  ctx.globalAlpha = 1;
  ctx.setLineDash([]);
}

function trace(ctx: CanvasRenderingContext2D, points: readonly number[]): void {
  ctx.beginPath();
  let down = false;
  for (let k = 0; k < points.length; k += 2) {
    const [x, y] = [points[k]!, points[k + 1]!];
    if (Number.isNaN(y)) down = false;
    else {
      if (!down) ctx.moveTo(x, y);
      // To where the pen stands too: a point between gaps is a dot.
      ctx.lineTo(x, y);
      down = true;
    }
  }
}

/** What lies in `clip` and what lies anywhere, as SVG; `background` fills all of it. */
export function svgText(size: { width: number; height: number }, background: string, clip: Box, inside: readonly Ink[], around: readonly Ink[], font: string, title: string): string {
  const { width, height } = size;
  const { left, top } = clip;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${escaped(font)}" role="img">`,
    `<title>${escaped(title)}</title><rect width="100%" height="100%" fill="${escaped(background)}"/>`,
    ...around.map(element),
    // As an inner picture, for what stands beyond its edges is not seen, and no id is needed that another picture in the page may have.
    `<svg x="${short(left)}" y="${short(top)}" width="${short(clip.width)}" height="${short(clip.height)}" viewBox="${[left, top, clip.width, clip.height].map(short).join(" ")}">`,
    ...inside.map(element),
    "</svg></svg>",
  ].join("");
}

function element(ink: Ink): string {
  const color = escaped(ink.color);
  switch (ink.kind) {
    case "line": {
      const dash = ink.dash ? ` stroke-dasharray="${ink.dash.join(" ")}"` : "";
      const ends = ink.dash ? "" : ' stroke-linejoin="round" stroke-linecap="round"';
      return `<path fill="none" stroke="${color}" stroke-width="${ink.width}" stroke-opacity="${ink.alpha ?? 1}"${ends}${dash} d="${path(ink.points)}"/>`;
    }
    case "bars": {
      const parts: string[] = [];
      for (let k = 0; k < ink.bars.length; k += 4) {
        const [x, y, w, h] = ink.bars.slice(k, k + 4).map(short);
        parts.push(`M${x} ${y}h${w}v${h}h-${w}z`);
      }
      return `<path fill="${color}" fill-opacity="${ink.alpha}" d="${parts.join("")}"/>`;
    }
    case "shapes":
      return `<path fill="${color}" d="${ink.shapes.map((corners) => `${path(corners)}z`).join("")}"/>`;
    case "dots": {
      const circles: string[] = [];
      for (let k = 0; k < ink.points.length; k += 2) circles.push(`<circle cx="${short(ink.points[k]!)}" cy="${short(ink.points[k + 1]!)}" r="${ink.radius}"/>`);
      return `<g fill="${escaped(ink.fill)}" stroke="${color}" stroke-width="${ink.width}">${circles.join("")}</g>`;
    }
    case "text": {
      const behind = ink.behind ? ` stroke="${escaped(ink.behind)}" stroke-width="${short(ink.size / 3)}" paint-order="stroke"` : "";
      return `<text x="${short(ink.x)}" y="${short(ink.y)}" fill="${color}" font-size="${ink.size}" text-anchor="${ink.align}"${behind}>${escaped(ink.text)}</text>`;
    }
  }
}

function path(points: readonly number[]): string {
  const parts: string[] = [];
  let down = false;
  for (let k = 0; k < points.length; k += 2) {
    if (Number.isNaN(points[k + 1])) down = false;
    else {
      const at = `${short(points[k]!)} ${short(points[k + 1]!)}`;
      parts.push(down ? `L${at}` : `M${at}L${at}`);
      down = true;
    }
  }
  return parts.join("");
}

const short = (value: number): string => String(Math.round(value * 100) / 100);

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** As XML takes it: halves of characters have no place in it at all. */
function escaped(text: string): string {
  return visible(text).replace(/[\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd").replace(/[&<>"']/g, (mark) => ENTITIES[mark]!);
}
