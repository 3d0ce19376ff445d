// What a job leaves behind: its folders and files with their sizes, to take home one by one or a folder at once.

import { __, _n } from "../i18n";
import { bytes } from "../data/format";
import { fileTree, type Folder } from "../data/tree";
import type { JobStore } from "../data/store";
import { isEnded } from "../wire/protocol";
import { jobPath, type Server } from "../wire/server";
import type { Detail } from "./detail";
import { h, setShown, setText } from "./dom";
import { downloadLink } from "./download";
import type { TabPage } from "./tabs";

/** The server lists no more. */
const MOST_FILES = 1000;
/** So few are all shown, however deep they lie. */
const FEW_FILES = 12;

export function filesPage(store: JobStore, server: Server, detail: Detail): TabPage {
  const { job_id } = store.job;
  const note = h("p", { class: "tl-dim" });
  const list = h("div", { class: "tl-files" });
  const element = h("div", { class: "tl-page" }, note, list);
  /** Which folders somebody opened or closed. */
  const chosen = new Map<string, boolean>();
  let shown = "";
  let few = true;

  const file = (path: string): string => `${jobPath(job_id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
  const row = (name: string, size: string, download: HTMLElement): HTMLElement[] => [h("span", { class: "tl-file-name" }, name), h("span", { class: "tl-dim tl-file-size" }, size), download];

  const folderElement = ({ name, path, folders, files, size_bytes, count }: Folder): HTMLElement => {
    const archive = downloadLink(server, `${jobPath(job_id)}/archive?path=${encodeURIComponent(path)}`, `${name}.tar`, "↓", __("Download the folder %1 as one archive", name), size_bytes);
    const amount = `${_n("%1 file", "%1 files", count)} · ${bytes(size_bytes)}`;
    const open = chosen.get(path) ?? (!path.includes("/") || few);
    const inner = h("details", { open }, h("summary", {}, ...row(name, amount, h("span"))), ...contents(folders, files));
    inner.addEventListener("toggle", () => chosen.set(path, inner.open));
    return h("div", { class: "tl-folder" }, inner, archive);
  };
  const contents = (folders: readonly Folder[], files: Folder["files"]): HTMLElement[] => [
    ...folders.map(folderElement),
    ...files.map(({ name, path, size_bytes }) => {
      const link = downloadLink(server, file(path), name, "↓", __("Download %1", path), size_bytes);
      return h("div", { class: "tl-file" }, ...row(name, bytes(size_bytes), link));
    }),
  ];

  return {
    element,
    update() {
      detail.want();
      const files = detail.job?.files ?? null;
      const none = isEnded(store.job) ? __("It left no files.") : __("No files yet. Checkpoints and whatever the training leaves in its artifacts will be here.");
      const many = files !== null && files.length >= MOST_FILES ? __("The first %1 files. The archive of a folder has all of it.", MOST_FILES) : "";
      const words = files === null ? (detail.failed ? __("The files could not be listed. Trying again.") : __("Looking…")) : files.length === 0 ? none : many;
      setText(note, words);
      setShown(note, words !== "");
      const key = files === null ? "" : JSON.stringify(files);
      if (key === shown) return;
      shown = key;
      few = (files?.length ?? 0) <= FEW_FILES;
      const { folders, files: loose } = fileTree(files ?? []);
      list.replaceChildren(...contents(folders, loose));
    },
  };
}
