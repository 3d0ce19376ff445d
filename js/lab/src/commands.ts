// The names of our commands, which menus, palette, panel and tests go by.

export const SHOW = "trainlive:show-jobs";
export const OPEN = "trainlive:open-job";
export const CHOOSE = "trainlive:choose-jobs";
export const COMPARE = "trainlive:compare";
export const CONSOLE = "trainlive:open-console";
export const COPY_ID = "trainlive:copy-id";
/** Asks the server for its argument `action` on the job that the context menu was opened on. */
export const ASK = "trainlive:ask-of-job";
/** The form of a new fine-tune, or with `job_id` of one that is launched again. */
export const NEW_FINETUNE = "trainlive:new-finetune";
