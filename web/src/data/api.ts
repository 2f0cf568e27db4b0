/**
 * The wire types of `/api/v1`, by hand and in one place, so that generated ones can replace them.
 *
 * Times are RFC 3339 strings here; the rest of the client uses `Micros` (see `time.ts`).
 */

export type Id = string;
export type Time = string;
export type Parameters = Record<string, string | number | boolean | null>;

export interface List<T> {
  items: T[];
  next?: string | null;
}

export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  code: string;
  request_id?: string;
  hint?: string;
  parameters?: Parameters;
}

export type Role = "administrator" | "operator" | "viewer";

export interface Session {
  user: { id: Id; name: string; role: Role };
  csrf: string;
  expires_at: Time;
}

export type StreamRole = "live" | "record" | "sub" | "analytics";

export interface Stream {
  id: Id;
  roles: StreamRole[];
  codec?: string | null;
  codec_string?: string | null;
  width?: number | null;
  height?: number | null;
  frames_per_second?: number | null;
  bitrate_bps?: number | null;
  durable_until?: Time | null;
  packets_lost?: number;
  clock_drift_ppm?: number | null;
  clock_offset_ms?: number | null;
  viewers?: number;
}

export type Transport = "tcp" | "udp";

export interface Camera {
  id: Id;
  name: string;
  state: string;
  state_since?: Time | null;
  parameters?: Parameters | null;
  enabled: boolean;
  record: boolean;
  recording: boolean;
  /** Absent for those who may not change cameras, as `sub_url` and `user` are. */
  url?: string;
  sub_url?: string | null;
  user?: string | null;
  has_password?: boolean;
  transport: Transport;
  retention_days?: number | null;
  storage?: Id | null;
  hardware?: Id;
  microphone?: Id | null;
  streams: Stream[];
  version: number;
}

export interface CameraCreate {
  name?: string;
  url: string;
  sub_url?: string;
  user?: string;
  password?: string;
  transport?: Transport;
  record?: boolean;
  retention_days?: number;
  storage?: Id;
}

export interface CameraUpdate {
  version: number;
  name?: string;
  url?: string;
  sub_url?: string | null;
  user?: string | null;
  password?: string | null;
  transport?: Transport;
  enabled?: boolean;
  record?: boolean;
  retention_days?: number | null;
  storage?: Id;
}

export interface Preview {
  id: Id;
  expires_at?: Time;
  state?: string;
  parameters?: Parameters | null;
  streams?: Stream[];
}

export interface StorageCamera {
  camera: Id;
  name: string;
  used_bytes: number;
  bytes_per_day?: number | null;
  oldest?: Time | null;
  newest?: Time | null;
}

export interface Storage {
  id: Id;
  name: string;
  path: string;
  state: string;
  used_bytes: number;
  free_bytes: number;
  capacity_bytes: number;
  size_max_bytes?: number | null;
  free_min_bytes?: number | null;
  retention_days?: number | null;
  encrypted: boolean;
  oldest?: Time | null;
  newest?: Time | null;
  bytes_per_day?: number | null;
  days_kept?: number | null;
  days_left?: number | null;
  cameras: StorageCamera[];
  version: number;
}

export interface StorageCreate {
  name: string;
  path: string;
  size_max_bytes?: number;
  retention_days?: number;
  encrypted?: boolean;
}

export interface StorageUpdate {
  version: number;
  name?: string;
  size_max_bytes?: number | null;
  retention_days?: number | null;
}

export interface User {
  id: Id;
  name: string;
  role: Role;
  cameras: "all" | Id[];
  enabled: boolean;
  version: number;
}

export interface Token {
  id: Id;
  name?: string | null;
  created_at?: Time | null;
  expires_at?: Time | null;
  used_at?: Time | null;
}

export interface TokenCreated {
  id: Id;
  token: string;
  expires_at?: Time | null;
}

/** A CloudEvents 1.0 envelope. */
export interface Event {
  id: Id;
  type: string;
  source?: string;
  camera?: Id;
  storage?: Id;
  time: Time;
  recordedat?: Time;
  phase?: "begin" | "end" | "pulse";
  severity?: string;
  data?: Record<string, unknown> | null;
}

export interface System {
  version: string;
  server_name?: string;
  uptime_seconds: number;
  started: Time;
  time_zone?: string;
  recorder: { connected: boolean; started?: Time | null };
  limits?: { transcode_streams_max?: number };
}

export interface TimelineAnswer {
  recordings: { start: Time; end: Time; stream?: Id; codec?: string; epoch?: number }[];
  gaps: { start: Time; end: Time | null; cause: string; parameters?: Parameters | null }[];
  next?: Time | null;
}

/** `[offset, bytes, start_ticks, duration_ticks, entry]`, ticks from the file's start. */
export type PlanFragment = [number, number, number, number, number];

export interface PlanFile {
  url: string;
  codec: string;
  codec_string: string;
  width?: number | null;
  height?: number | null;
  timescale: number;
  start: Time;
  epoch: number;
  init_bytes: number;
  fragments: PlanFragment[];
}

export interface PlanTrack {
  kind: "video" | "audio";
  stream: Id;
  codec: string;
  files: PlanFile[];
}

export interface PlanAnswer {
  tracks: PlanTrack[];
  next?: Time | null;
}

export interface Export {
  id: Id;
  camera: Id;
  start: Time;
  end: Time;
  state: "running" | "done" | "failed";
  progress: number;
  bytes?: number | null;
  file_name?: string | null;
  /** A problem code, for a failed one. */
  error?: string | null;
  created_at: Time;
}

export interface ExportCreate {
  camera: Id;
  start: Time;
  end: Time;
  head?: "keyframe" | "exact";
  audio?: boolean;
  name?: string;
}
