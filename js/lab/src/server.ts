// The server as JupyterLab knows it: its URL, token and fetch, so that a Lab on another origin works too.

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import type { Server } from "@jupyter-trainlive/core";

export function labServer(settings: ServerConnection.ISettings): Server {
  const root = URLExt.join(settings.baseUrl, "trainlive");
  return {
    key: `${root}/`,
    // Past the browser's cache. For "no-store" JupyterLab adds the time to the address, a parameter that no route of ours knows.
    request: (path, init = {}) => ServerConnection.makeRequest(`${root}/${path}`, { cache: "reload", ...init }, settings),
    socket(path, protocol) {
      const url = new URL(`${URLExt.join(settings.wsUrl, "trainlive")}/${path}`);
      // A browser's socket cannot carry an Authorization header.
      if (settings.appendToken && settings.token) url.searchParams.set("token", settings.token);
      return new settings.WebSocket(url, protocol);
    },
    href(path) {
      const url = new URL(`${root}/${path}`, location.href);
      // Its cookies are the page's; to another origin the token goes in a header, which no link can carry.
      return url.origin === location.origin ? url.href : null;
    },
  };
}
