// The server as the front end sees it: requests and sockets under `trainlive/`, and the one found from a Jupyter page.

import { __ } from "../i18n";
import type { WindowFrame, WindowRequest, WireBucket } from "./frames";
import type { Action, Job, System } from "./protocol";
import type { Relay } from "./relay";

/** Whoever hosts the front end provides this: a page by its cookies, JupyterLab by its server settings. */
export interface Server {
  /** Tells servers apart, so that views of one job on one server share a connection. */
  readonly key: string;
  /** `path` is relative to `trainlive/`. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Null where the page can open none. */
  readonly socket: ((path: string, protocol: string) => WebSocket) | null;
  /** An address that the page itself can follow, a link to a download; null where only `request` is let in. */
  href(path: string): string | null;
  /** The kernel behind the view, where there is one that can pass things on. */
  readonly relay?: Relay;
}

/** An answer other than success; `reason` is the server's own word for it, and `field` names what was wrong in the request. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason: string | null = null,
    readonly field: string | null = null,
  ) {
    super(message);
    this.name = "ServerError";
  }
}

/** The answer's content; raises ServerError where it is none. */
export async function json<T>(response: Response): Promise<T> {
  if (response.ok) return (await response.json()) as T;
  let message = __("The server answered %1.", response.status);
  let reason: string | null = null;
  let field: string | null = null;
  try {
    const body = (await response.json()) as { message?: unknown; reason?: unknown; field?: unknown };
    if (typeof body.message === "string" && body.message) message = body.message;
    if (typeof body.reason === "string") reason = body.reason;
    if (typeof body.field === "string") field = body.field;
  } catch {
    // A proxy's error page is not JSON; the status says what is known.
  }
  throw new ServerError(response.status, message, reason, field);
}

export const jobPath = (job_id: string): string => `api/training/jobs/${encodeURIComponent(job_id)}`;

export async function getJob(server: Pick<Server, "request">, job_id: string, init?: RequestInit): Promise<Job> {
  return json<Job>(await server.request(jobPath(job_id), init));
}

export interface JobPage {
  /** Newest first. */
  jobs: Job[];
  /** Where the older ones begin; null where there are none. */
  next_cursor: string | null;
}

/** The newest jobs, `limit` of them (1 to 500). */
export async function listPage(server: Server, { limit = 50 } = {}): Promise<JobPage> {
  return json<JobPage>(await server.request(`api/training/jobs?limit=${limit}`));
}

export async function listJobs(server: Server): Promise<Job[]> {
  return (await listPage(server)).jobs;
}

const REQUESTS = {
  pause: { path: "pause", body: { release: false } },
  release: { path: "pause", body: { release: true } },
  resume: { path: "resume", body: {} },
  cancel: { path: "cancel", body: {} },
  end_kernel: { path: "end_kernel", body: {} },
};

/** Asks for one of the actions; the job as it is then. Raises ServerError, 409 where its state does not allow it. */
export async function askOfJob(server: Server, job_id: string, action: Exclude<Action, "delete">): Promise<Job> {
  const { path, body } = REQUESTS[action];
  const headers = { "Content-Type": "application/json" };
  return json<Job>(await server.request(`${jobPath(job_id)}/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

/** Removes a job that has ended, with its files. */
export async function deleteJob(server: Server, job_id: string): Promise<void> {
  const response = await server.request(jobPath(job_id), { method: "DELETE" });
  if (!response.ok) await json(response);
}

/** Has the server's kernel API know the kernel that is kept of an ended job; the id by which it does. */
export async function openConsole(server: Server, job_id: string): Promise<string> {
  const answer = json<{ kernel_id: string }>(await server.request(`${jobPath(job_id)}/console`, { method: "POST", body: "{}" }));
  return (await answer).kernel_id;
}

/** A part of some curves, as the job's connection would answer it, in as many buckets. */
export async function getWindow(server: Pick<Server, "request">, job_id: string, request: WindowRequest): Promise<WindowFrame> {
  const { names, x0, x1, px, axis, smoothing } = request;
  const points = Math.max(16, Math.floor(smoothing > 0 ? px / 3 : px * 0.4));
  const query = new URLSearchParams({ axis, points: String(Math.min(5_000, points)), smoothing: String(smoothing) });
  for (const name of names) query.append("names", name);
  if (x0 !== null) query.set("x0", String(x0));
  if (x1 !== null) query.set("x1", String(x1));
  const { seq, series } = await json<MetricsAnswer>(await server.request(`${jobPath(job_id)}/metrics?${query.toString()}`));
  const buckets = Object.fromEntries(Object.entries(series).map(([name, curve]) => [name, curve.buckets]));
  return { type: "window", id: null, seq, axis, buckets };
}

interface MetricsAnswer {
  seq: number;
  series: Record<string, { n: number; buckets: WireBucket[] }>;
}

export async function getSystem(server: Pick<Server, "request">): Promise<System> {
  return json<System>(await server.request("api/system"));
}

/** With a Hub there may be two `_xsrf` cookies, one for `/` and one for the server's path; the last is the server's. */
export function xsrfToken(cookie: string): string | null {
  const all = cookie.split(";").map((part) => part.trim());
  const last = all.filter((part) => part.startsWith("_xsrf=")).pop();
  return last === undefined ? null : decodeURIComponent(last.slice("_xsrf=".length));
}

/** What a Jupyter page says about its server, or null on any other page. */
export function pageBaseUrl(page: Document): { base: string; ws: string } | null {
  const text = page.getElementById("jupyter-config-data")?.textContent;
  if (!text) return null;
  try {
    const config = JSON.parse(text) as { baseUrl?: unknown; wsUrl?: unknown };
    if (typeof config.baseUrl !== "string") return null;
    return { base: config.baseUrl, ws: typeof config.wsUrl === "string" ? config.wsUrl : "" };
  } catch {
    return null;
  }
}

/** The Jupyter server behind this page, reached with the page's own cookies; null where the page is not Jupyter's. */
export function pageServer(page: Document, location: Location, server_path: string): Server | null {
  const config = pageBaseUrl(page);
  if (!config) return null;
  const slash = (path: string): string => (path.endsWith("/") ? path : `${path}/`);
  const base = new URL(slash(server_path || config.base), location.href);
  // The path came with the notebook, and a notebook may come from anyone: never send it our cookies elsewhere.
  if (base.origin !== new URL(location.href).origin) return null;
  const root = new URL("trainlive/", base);
  const wsRoot = config.ws && !server_path ? new URL("trainlive/", slash(config.ws)) : new URL(root);
  wsRoot.protocol = wsRoot.protocol.replace("http", "ws");
  return {
    key: root.href,
    request(path, init = {}) {
      const headers = new Headers(init.headers);
      const token = xsrfToken(page.cookie);
      if (token !== null) headers.set("X-XSRFToken", token);
      return fetch(new URL(path, root), { credentials: "same-origin", cache: "no-store", ...init, headers });
    },
    socket: (path, protocol) => new WebSocket(new URL(path, wsRoot), protocol),
    href: (path) => new URL(path, root).href,
  };
}
