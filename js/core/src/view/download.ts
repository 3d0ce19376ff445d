// Something to download: a link where the page itself may ask the server, else a button that asks through whoever can.

import { __ } from "../i18n";
import { bytes } from "../data/format";
import { json, type Server } from "../wire/server";
import { reasonText } from "./controls";
import { h, setAttribute, setText } from "./dom";

/** Without a link all of it passes through the page's memory. */
const MOST_BYTES = 500e6;

/** `path` is relative to `trainlive/`, `name` what the file is called where it arrives. */
export function downloadLink(server: Server, path: string, name: string, label: string, title: string, size = 0): HTMLElement {
  const href = server.href(path);
  if (href !== null) return h("a", { class: "tl-button tl-download", href, download: name, title, "aria-label": title }, label);

  const button = h("button", { type: "button", class: "tl-button tl-download", title, "aria-label": title }, label);
  const said = h("span", { class: "tl-dim", role: "status" });
  let under_way = false;
  button.addEventListener("click", () => {
    if (under_way) return;
    if (size > MOST_BYTES) return setText(said, __("%1 is too much for this page. Fetch it from Python: job.download()", bytes(size)));
    under_way = true;
    setAttribute(button, "aria-disabled", "true");
    setText(said, __("fetching…"));
    fetched(server, path)
      .then(
        (blob) => {
          save(blob, name);
          setText(said, "");
        },
        (error: unknown) => setText(said, reasonText(error)),
      )
      .finally(() => {
        under_way = false;
        setAttribute(button, "aria-disabled", null);
      });
  });
  return h("span", { class: "tl-fetch" }, said, button);
}

async function fetched(server: Server, path: string): Promise<Blob> {
  const response = await server.request(path);
  // Says why not, as every answer does.
  if (!response.ok) await json(response);
  return response.blob();
}

/** Hands something to the person, as a file. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
