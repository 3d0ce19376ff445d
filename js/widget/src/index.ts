// The anywidget module: a live view of one job in a notebook's output, fed by the server where the page reaches it, else
// through the notebook's kernel.

import { Relay, isRelayed, keepKeys, mountJob, notebookServer, pageServer } from "@jupyter-trainlive/core";
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";

interface Model {
  job_id: string;
  name: string;
  /** The base URL's path of the server the job lives on; empty where the kernel did not know it. */
  server_path: string;
}

function relayOf(model: AnyModel<Model>): Relay {
  return new Relay({
    send: (message) => model.send(message),
    listen(listener) {
      model.on("msg:custom", listener);
      return () => model.off("msg:custom", listener);
    },
  });
}

const directServer = (model: AnyModel<Model>) => pageServer(document, location, model.get("server_path"));

/** Called where the view is never drawn as well: JupyterLab with our extension has one of its own. */
function initialize({ model }: InitializeProps<Model>): void {
  if (!directServer(model)) return;
  const relay = relayOf(model);
  relay.enough();
  relay.close();
}

function render({ model, el, signal }: RenderProps<Model> & { signal?: AbortSignal }): () => void {
  // Hosts older than anywidget 0.10 give no signal, but all of them call the cleanup.
  const closing = new AbortController();
  const close = (): void => closing.abort();
  signal?.addEventListener("abort", close, { once: true });

  keepKeys(el, closing.signal);
  const relay = relayOf(model);
  closing.signal.addEventListener("abort", () => relay.close(), { once: true });
  const server = notebookServer(directServer(model), relay, model.get("server_path"), isRelayed);
  mountJob(el, { server, job_id: model.get("job_id"), name: model.get("name") || null, signal: closing.signal });
  return close;
}

export default { initialize, render };
