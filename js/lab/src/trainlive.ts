// What our plugins share: the server of this page, what is known of its jobs, and the user's settings.

import type { Server } from "@jupyter-trainlive/core";
import { Token } from "@lumino/coreutils";
import type { Feed } from "./feed";
import type { Settings } from "./settings";

export interface ITrainLive {
  readonly server: Server;
  readonly feed: Feed;
  readonly settings: Settings;
}

/** Whoever asks for it is activated after the words of the page's language are known to `__`. */
export const ITrainLive = new Token<ITrainLive>("jupyter-trainlive:ITrainLive");
