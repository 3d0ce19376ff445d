// What can be done with one chart: one menu for all of a view, filled for the chart whose button opens it.

import { __ } from "../i18n";
import type { ChartView } from "./chart";
import { csv, fileName, saveText } from "./export";
import { menu, menuItem } from "./menu";

export interface ChartActions {
  isPinned(chart: ChartView): boolean;
  pin(chart: ChartView, pinned: boolean): void;
  hide(chart: ChartView): void;
  /** Enlarges it, or puts it back. */
  enlarge(chart: ChartView): void;
  /** Shows its data as a table, or hides them again. */
  tabulate(chart: ChartView): void;
  save(chart: ChartView, extension: "png" | "svg"): void;
  signal: AbortSignal;
}

/** All rows of what is drawn: a curve is drawn in no more buckets. */
const ALL_ROWS = 10_000;

export function chartMenu(actions: ChartActions): { element: HTMLElement; attach(button: HTMLButtonElement, chart: ChartView): void } {
  const opened = menu(__("Options of the chart"), actions.signal);

  const fill = (chart: ChartView): void => {
    const { spec } = chart;
    const item = (text: string, act: () => void): HTMLElement =>
      menuItem(text, () => {
        opened.close();
        act();
      });
    const pinned = actions.isPinned(chart);
    const items = [
      item(chart.enlarged ? __("Back to all charts") : __("Enlarge"), () => actions.enlarge(chart)),
      item(chart.tabled ? __("Hide the table") : __("Data as a table"), () => actions.tabulate(chart)),
      ...(spec.main ? [] : [item(pinned ? __("Take from the top") : __("Pin to the top"), () => actions.pin(chart, !pinned))]),
      item(__("Hide"), () => actions.hide(chart)),
      item(__("Save as PNG"), () => actions.save(chart, "png")),
      item(__("Save as SVG"), () => actions.save(chart, "svg")),
      item(__("Save as CSV"), () => {
        const table = chart.plot?.table(ALL_ROWS, true);
        if (table) saveText(fileName(`${spec.key}.csv`), csv(table.head, table.rows), "text/csv");
      }),
    ];
    items[0]!.autofocus = true;
    opened.element.replaceChildren(...items);
  };
  return { element: opened.element, attach: (button, chart) => opened.attach(button, () => fill(chart)) };
}
