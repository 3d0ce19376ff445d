// The JupyterLab extension: plugins of one subject each, so that each can be switched off alone.

import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
import { outputs } from "./mime";
import { base } from "./plugins/base";
import { consoles } from "./plugins/console";
import { form } from "./plugins/form";
import { jobs } from "./plugins/jobs";
import { menus } from "./plugins/menus";
import { notifications } from "./plugins/notifications";
import { panel } from "./plugins/panel";
import { running } from "./plugins/running";
import { status } from "./plugins/status";

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  base,
  jobs,
  consoles,
  panel,
  form,
  status,
  running,
  notifications,
  menus,
  outputs,
];

export default plugins;
