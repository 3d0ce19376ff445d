// Our pictures, in the colours of whatever theme is on.

import { LabIcon } from "@jupyterlab/ui-components";
import { statusMark, type Job } from "@jupyter-trainlive/core";

const picture = (name: string, shapes: string): LabIcon =>
  new LabIcon({
    name: `trainlive:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24" fill="none">${shapes}</svg>`,
  });

export const curveIcon = picture(
  "curve",
  // Without a fill of its own: the theme colours any that there is.
  '<path class="jp-icon3" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M4 4v16h16M8 6c1.5 7 5 9.5 11 10"/>',
);

// The marks of core's status badge, for titles and lists that take an icon only. The shape says it too.
const MARKS: Record<string, LabIcon> = {
  run: picture("running", '<circle class="trainlive-ok" cx="12" cy="12" r="7"/>'),
  wait: picture("waiting", '<circle class="trainlive-line" cx="12" cy="12" r="6"/>'),
  hold: picture("held", '<path class="trainlive-amber" d="M6 5h4.5v14H6zM13.5 5H18v14h-4.5z"/>'),
  free: picture("freed", '<path class="trainlive-dim" d="M6 5h4.5v14H6zM13.5 5H18v14h-4.5z"/>'),
  fail: picture("failed", '<path class="trainlive-red" d="m12 3 9 9-9 9-9-9z"/>'),
  done: picture("done", '<circle class="trainlive-dim" cx="12" cy="12" r="7"/>'),
  stop: picture("stopped", '<path class="trainlive-dim" d="M6 6h12v12H6z"/>'),
};

export function markIcon(job: Pick<Job, "status" | "pause">): LabIcon {
  return MARKS[statusMark(job)] ?? curveIcon;
}
