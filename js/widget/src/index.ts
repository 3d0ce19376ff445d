// The anywidget module: a live view of one job in a notebook's output, fed by the server, not by the kernel.

import { h, mountJob, pageServer } from "@jupyter-trainlive/core";
import type { RenderProps } from "@anywidget/types";

interface Model {
  job_id: string;
  name: string;
  /** The base URL's path of the server the job lives on; empty where the kernel did not know it. */
  server_path: string;
}

function render({ model, el, signal }: RenderProps<Model> & { signal?: AbortSignal }): () => void {
  // Hosts older than anywidget 0.10 give no signal, but all of them call the cleanup.
  const closing = new AbortController();
  const close = (): void => closing.abort();
  signal?.addEventListener("abort", close, { once: true });

  const server = pageServer(document, location, model.get("server_path"));
  if (server) {
    mountJob(el, { server, job_id: model.get("job_id"), name: model.get("name") || null, signal: closing.signal });
  } else {
    const where = `Job ${model.get("name") || model.get("job_id")} can be watched live in JupyterLab or Notebook on the server it runs on.`;
    el.append(h("section", { class: "tl", "data-live": "elsewhere" }, h("p", { class: "tl-trouble" }, where)));
  }
  return close;
}

export default { render };
