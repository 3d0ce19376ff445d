// A list of files as the folders they lie in.

import type { JobFile } from "../wire/protocol";

export interface Folder {
  name: string;
  /** Relative to the job's folder, as a file's is. */
  path: string;
  folders: Folder[];
  files: { name: string; path: string; size_bytes: number }[];
  /** Of all that lies in it, however deep. */
  size_bytes: number;
  count: number;
}

const empty = (name: string, path: string): Folder => ({ name, path, folders: [], files: [], size_bytes: 0, count: 0 });

/** Numbers in names by their value: checkpoint-20 comes before checkpoint-100. */
const inOrder = new Intl.Collator("en", { numeric: true });

export function fileTree(files: readonly JobFile[]): Folder {
  const root = empty("", "");
  for (const { path, size_bytes } of files) {
    const names = path.split("/");
    let folder = root;
    for (const [k, name] of names.slice(0, -1).entries()) {
      folder.size_bytes += size_bytes;
      folder.count += 1;
      let inner = folder.folders.find((each) => each.name === name);
      if (!inner) folder.folders.push((inner = empty(name, names.slice(0, k + 1).join("/"))));
      folder = inner;
    }
    folder.size_bytes += size_bytes;
    folder.count += 1;
    folder.files.push({ name: names[names.length - 1]!, path, size_bytes });
  }
  sort(root);
  return root;
}

function sort(folder: Folder): void {
  for (const each of [folder.folders, folder.files]) each.sort((a, b) => inOrder.compare(a.name, b.name));
  folder.folders.forEach(sort);
}
