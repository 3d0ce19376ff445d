// The last resort where no socket and no kernel brings frames: asking over REST now and then, and making frames of the answers.

import type { WindowRequest } from "./frames";
import type { Job } from "./protocol";
import { getJob, getMetrics, getSystem, isEnded, type Metrics, type Server } from "./server";
