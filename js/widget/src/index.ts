// The anywidget module: a live view of one job in a notebook's output, fed by the server where the page reaches it, else
// through the notebook's kernel.

import { Relay, __, h, isRelayed, mountJob, notebookServer, pageServer, setShown, watchJob } from "@jupyter-trainlive/core";
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";

interface Model {
  job_id: string;
  name: string;
  /** The base URL's path of the server the job lives on; empty where the kernel did not know it. */
  server_path: string;
}

/** When nothing has come of it, it is time to say so. */
const SILENCE_MS = 12_000;

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
  relay.enough(model.get("job_id"));
  relay.close();
}

function render({ model, el, signal }: RenderProps<Model> & { signal?: AbortSignal }): () => void {
  // Hosts older than anywidget 0.10 give no signal, but all of them call the cleanup.
  const closing = new AbortController();
  const close = (): void => closing.abort();
  signal?.addEventListener("abort", close, { once: true });

  const direct = directServer(model);
  const relay = relayOf(model);
  closing.signal.addEventListener("abort", () => relay.close(), { once: true });
  const server = notebookServer(direct, relay, model.get("server_path"), isRelayed);
  const options = { server, job_id: model.get("job_id"), name: model.get("name") || null, signal: closing.signal };
  mountJob(el, options);
  if (!direct) explain(el, options);
  return close;
}

/** A page that depends on the kernel says what it waits for. */
function explain(el: HTMLElement, { server, job_id, name, signal }: { server: ReturnType<typeof notebookServer>; job_id: string; name: string | null; signal: AbortSignal }): void {
  const channel = watchJob(server, job_id, name, signal);
  const words = h("p", { class: "tl-elsewhere", role: "status", hidden: true }, __("This page hears of the job through the notebook's kernel, which says nothing: it is busy, or gone."));
  el.append(words);
  const timer = setInterval(() => setShown(words, channel.live === "connecting" || (channel.live === "reconnecting" && channel.silent_ms > SILENCE_MS)), SILENCE_MS);
  const unsubscribe = channel.subscribe(() => {
    if (channel.live === "live") setShown(words, false);
  });
  signal.addEventListener(
    "abort",
    () => {
      clearInterval(timer);
      unsubscribe();
      words.remove();
    },
    { once: true },
  );
}

export default { initialize, render };
