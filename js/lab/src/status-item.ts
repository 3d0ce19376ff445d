// What stands in the status bar: "2 running · GPU 97 %".

import { __, h, jobTitle, percent, setAttribute, setText, UNKNOWN, type Job, type System } from "@jupyter-trainlive/core";
import { Widget } from "@lumino/widgets";
import { curveIcon } from "./icons";
import { statusText } from "./summary";

export class StatusItem extends Widget {
  private readonly text = h("span", {});
  private readonly button = h("button", { type: "button", class: "trainlive-status" }, this.text);

  constructor(open: () => void) {
    super();
    this.addClass("jp-mod-highlighted");
    this.button.prepend(curveIcon.element({ tag: "span", height: "14px", width: "14px" }));
    this.button.addEventListener("click", open);
    this.node.append(this.button);
  }

  tell(active: readonly Job[], system: System | null): void {
    setText(this.text, statusText(active, system));
    const gpus = (system?.gpus ?? []).map((gpu) => __("GPU %1: %2", gpu.index, gpu.utilization_percent == null ? UNKNOWN : percent(gpu.utilization_percent)));
    setAttribute(this.button, "title", [...active.map(jobTitle), ...gpus, __("Show the training jobs")].join("\n"));
  }
}
