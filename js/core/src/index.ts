// What the widget and the JupyterLab extension build on.

export { gigabytes, duration, metric, percent, count, UNKNOWN } from "./data/format";
export { mountForm, type Beginning } from "./form/form";
export type { Kernel } from "./form/schema";
export { __, _n, setTranslator, type Translator } from "./i18n";
export { keepReading, type JobStore } from "./data/store";
export { gaugePanel } from "./view/gauges";
export { h, keepKeys, setAttribute, setShown, setText, svg } from "./view/dom";
export { PICTURE_SCALE } from "./view/chart";
export { mountComparison, type Comparison, type ComparisonOptions } from "./view/compare";
export { mountJob, type JobView, type JobViewOptions } from "./view/job";
export { setDefaultLook, type DefaultLook } from "./view/preferences";
export { shortened } from "./data/visible";
export { jobTitle, phaseText, statusBadge, statusMark, statusWord } from "./view/status";
export { isEnded, isReleased, type Gpu, type Job, type JobFile, type Mark, type System } from "./wire/protocol";
export {
  ServerError,
  askOfJob,
  deleteJob,
  getJob,
  getSystem,
  listJobs,
  listPage,
  openConsole,
  pageServer,
  type Server,
} from "./wire/server";
export { Relay, notebookServer } from "./wire/relay";
export { isRelayed, reviveWatched, watchJob } from "./wire/shared";
