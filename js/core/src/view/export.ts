// Taking curves out of the page: pictures and tables as files.

import type { Server } from "../wire/server";
import { h } from "./dom";
import { fetched, follow, save } from "./download";

/** A text as a file. */
export function saveText(name: string, text: string, type: string): void {
  save(new Blob([text], { type }), name);
}

/** All points of a job, as it logged them: by a link where the page's cookies are enough, else through a request. */
export async function saveCsv(server: Server, job_id: string, name: string): Promise<void> {
  const path = `api/training/jobs/${encodeURIComponent(job_id)}/metrics.csv`;
  const href = server.href(path);
  if (href === null) save(await fetched(server, path), fileName(name, "metrics.csv"));
  else follow(href, fileName(name, "metrics.csv"));
}

/** A name for a file out of a job's or a series' name: letters and digits of any script, what else there is as dashes. */
export function fileName(...parts: string[]): string {
  const plain = parts.map((part) => part.replace(/[^\p{L}\p{N}_.]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "")).filter(Boolean);
  return plain.join("-").slice(0, 120) || "curves";
}

/** What spreadsheets compute, also behind a mark that a reader in East Asia types. */
const FORMULA = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/;
const NUMBER = /^-?(?:inf|[\d.]+(?:e[+-]?\d+)?)$/;

/** Rows as CSV. A text that a spreadsheet would take for a formula is marked as text. */
export function csv(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => {
    const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Pictures one below the other. Each must tell its width and height. */
export function stacked(pictures: readonly string[]): string {
  const gap = 12;
  let [width, height] = [0, 0];
  const parts = pictures.map((picture) => {
    const size = (side: string): number => Number(new RegExp(`<svg[^>]* ${side}="([\\d.]+)"`).exec(picture)?.[1] ?? 0);
    const part = picture.replace("<svg", `<svg y="${height}"`);
    width = Math.max(width, size("width"));
    height += size("height") + gap;
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${Math.max(0, height - gap)}">${parts.join("")}</svg>`;
}

/** A drawing as a picture, `scale` pixels for each of its own. */
export async function pngOf(drawing: string, scale: number): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawing)}`;
  await image.decode();
  const canvas = h("canvas", { width: image.width * scale, height: image.height * scale });
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}
