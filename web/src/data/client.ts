/**
 * The one door to the API: cookies, the CSRF header, problem documents, and what they mean for the session.
 */
import type { List, Problem } from "./api";
import { serverClock } from "./time";

export const API = "/api/v1";

export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    /** Seconds until another try makes sense, from `Retry-After`. */
    readonly retryAfter?: number,
  ) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
  }
  get status(): number {
    return this.problem.status;
  }
  get code(): string {
    return this.problem.code;
  }
}

/** The server did not answer at all. */
export class OfflineError extends Error {
  constructor() {
    super("offline");
    this.name = "OfflineError";
  }
}

type Listener = () => void;

/** Whether the server answers; the banner and the retries read it. */
class Connection {
  private listeners = new Set<Listener>();
  online = true;

  set(online: boolean): void {
    if (this.online === online) return;
    this.online = online;
    for (const listener of this.listeners) listener();
  }
  subscribe = (listener: Listener): Listener => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

export const connection = new Connection();

let csrf = "";
let onSessionLost: Listener = () => {};

export function setCsrf(value: string): void {
  csrf = value;
}

/** Called when an answer says that the session is over. */
export function whenSessionLost(listener: Listener): void {
  onSessionLost = listener;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${API}${path}${text ? `?${text}` : ""}`;
}

export interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  keepalive?: boolean;
  /** A 401 here is an answer (sign-in), not the end of the session. */
  anonymous?: boolean;
}

/** Sends a request and gives the raw answer; throws {@link ApiError} or {@link OfflineError}. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  let body: BodyInit | undefined;
  if (typeof options.body === "string") body = options.body;
  else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  if (method !== "GET" && csrf) headers["X-Varde-CSRF"] = csrf;
  const sent = Date.now();
  let response: Response;
  try {
    response = await fetch(path.startsWith("/api/") ? path : address(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal,
      keepalive: options.keepalive,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    connection.set(false);
    throw new OfflineError();
  }
  connection.set(true);
  serverClock.observe(response.headers.get("date"), sent, Date.now());
  if (response.ok || response.status === 206) return response;
  const problem = await readProblem(response);
  if (response.status === 401 && !options.anonymous) onSessionLost();
  const retry = Number(response.headers.get("retry-after"));
  throw new ApiError(problem, Number.isFinite(retry) && retry > 0 ? retry : undefined);
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    const value = (await response.json()) as Problem;
    if (typeof value.code === "string") return { ...value, status: response.status };
  } catch {
    // Not a problem document: a proxy in between, or a server that is going down.
  }
  return { title: response.statusText, status: response.status, code: `http_${response.status}` };
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** Reads a whole list page by page; `pagesMax` bounds what a screen can ask for. */
export async function listAll<T>(path: string, query: Query = {}, pagesMax = 100): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const answer: List<T> = await request("GET", path, { query: { limit: 200, ...query, cursor } });
    items.push(...answer.items);
    cursor = answer.next;
    if (!cursor) break;
  }
  return items;
}

/** The WebSocket address of an API path on this same server. */
export function socketAddress(path: string, query: Query = {}): string {
  const base = new URL(address(path, query), window.location.href);
  base.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  return base.toString();
}
