// Where a page can show a widget beside what it shows already: JupyterLab's main area has room for many, Notebook's for one.

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { TabPanel, type Widget } from "@lumino/widgets";

/** Shows `widget` in the main area, or the nearest place to it that this page has. */
export function showLarge(shell: JupyterFrontEnd.IShell, widget: Widget): void {
  const tabs = tabsOf(shell);
  if (!widget.isAttached) {
    shell.add(widget, "main", { type: "Training" });
    // Notebook's shell leaves out what it has no room for. Its page of files has tabs; that of a notebook an area below.
    if (!widget.isAttached) tabs?.addWidget(widget);
    for (const area of ["down", "right"]) if (!widget.isAttached) shell.add(widget, area);
  }
  if (tabs && widget.parent?.parent === tabs) {
    tabs.currentWidget = widget;
    widget.activate();
  } else {
    shell.activateById(widget.id);
  }
}

/** The tabs that Notebook's page of files has in its main area, or null on any other page. */
export function tabsOf(shell: JupyterFrontEnd.IShell): TabPanel | null {
  return shell.currentWidget instanceof TabPanel ? shell.currentWidget : null;
}
