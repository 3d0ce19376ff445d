// The JupyterLab extension: plugins of one subject each, so that each can be switched off alone.

import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
import { base } from "./plugins/base";
import { consoles } from "./plugins/console";
import { jobs } from "./plugins/jobs";
import { panel } from "./plugins/panel";

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  base,
  jobs,
  consoles,
  panel,
];

export default plugins;
