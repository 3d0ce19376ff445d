// Our pictures, in the colours of whatever theme is on.

import { LabIcon } from "@jupyterlab/ui-components";

const picture = (name: string, shapes: string): LabIcon =>
  new LabIcon({
    name: `trainlive:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">${shapes}</svg>`,
  });

export const curveIcon = picture(
  "curve",
  '<path class="jp-icon3" fill="none" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M4 4v16h16M8 6c1.5 7 5 9.5 11 10"/>',
);
