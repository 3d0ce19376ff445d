// What our plugins share: the server of this page.

import type { Server } from "@jupyter-trainlive/core";
import { Token } from "@lumino/coreutils";

export interface ITrainLive {
  readonly server: Server;
}

/** Whoever asks for it is activated after the words of the page's language are known to `__`. */
export const ITrainLive = new Token<ITrainLive>("jupyter-trainlive:ITrainLive");
