// The names of our commands, which menus, palette, panel and tests go by.

export const SHOW = "trainlive:show-jobs";
export const OPEN = "trainlive:open-job";
export const COMPARE = "trainlive:compare";
export const CONSOLE = "trainlive:open-console";
/** The form of a new fine-tune; `form.ts` has it. */
export const NEW_FINETUNE = "trainlive:new-finetune";
