// What stands under the pointer: where it is, and what each curve came to there.

import { lastOf, type Bucket } from "../data/bucket";
import { clockSeconds, count, metric, seriesTitle, seriesValue, stepsText } from "../data/format";
import type { Series } from "../data/series";
import type { Table } from "../data/table";
import { h } from "./dom";

/** The bucket in force at an x: an eval loss holds until the next evaluation. */
export function bucketAt(series: Series | undefined, x: number): Bucket | undefined {
  return series?.main.buckets[series.main.indexAt(x)];
}

/** The rows of the read-out for one row of the table. */
export function readoutRows(shown: readonly Series[], table: Table, index: number): HTMLElement[] {
  const x = table.x[index]!;
  const here = shown[table.ys.findIndex((column) => column[index] !== undefined)];
  const steps = stepsText(bucketAt(here, x)?.x0 ?? x, here?.width ?? 1);
  const time = bucketAt(shown[0], x)?.time;
  const rows: HTMLElement[] = [h("div", { class: "tl-dim" }, `${steps}${time ? ` · ${clockSeconds(time)}` : ""}`)];
  for (const series of shown) {
    const bucket = bucketAt(series, x);
    if (!bucket) continue;
    rows.push(row(seriesTitle(series.name), seriesValue(series.name, lastOf(bucket))));
    const { min, max, n } = bucket;
    if (min !== null && max !== null && min < max) rows.push(row("", `${seriesValue(series.name, min)} … ${seriesValue(series.name, max)}`, true));
    if (n > 1 && bucket.nan + bucket.inf > 0) rows.push(row("", badText(bucket), true));
    const old = series.superseded.buckets[series.superseded.indexAt(x)];
    if (old && x < old.x0 + series.width) rows.push(row("earlier", seriesValue(series.name, lastOf(old)), true));
  }
  return rows;
}

/** 3 NaN, 1 ∞ */
function badText({ nan, inf }: Bucket): string {
  return [nan > 0 ? `${count(nan)} ${metric("nan")}` : "", inf > 0 ? `${count(inf)} ${metric("inf")}` : ""].filter(Boolean).join(", ");
}

function row(title: string, value: string, dim = false): HTMLElement {
  return h("div", { class: "tl-readout-row" }, h("span", { class: "tl-dim" }, title), h(dim ? "span" : "b", { class: dim ? "tl-dim" : null }, value));
}
