/**
 * The wire types of `/api/v1`: names for what the OpenAPI document describes, so that a change of the API breaks
 * the compiler here and not a page later. What JSON objects hold that the document leaves open is said here.
 *
 * Times are RFC 3339 strings here; the rest of the client uses `Micros` (see `time.ts`).
 */
import type { components } from "./generated/openapi";

type Schemas = components["schemas"];
/** A schema with some of its members said more closely. */
type With<Name extends keyof Schemas, Closer extends { [Key in keyof Closer]: unknown }> = Omit<
  Schemas[Name],
  keyof Closer & keyof Schemas[Name]
> &
  Closer;

export type Id = string;
export type Time = string;
/** The values that a message of the catalogue shows; which ones there are depends on the code. */
export type Parameters = Readonly<Record<string, string | number | boolean | null>>;

export interface List<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}

/** A problem document; proxies in between answer with less, and with codes of their own. */
export type Problem = Partial<Omit<Schemas["ProblemDocument"], "parameters" | "code">> &
  Pick<Schemas["ProblemDocument"], "title" | "status"> & {
    readonly code: Schemas["ProblemCode"] | (string & {});
    readonly parameters?: Parameters;
  };

export type Role = Schemas["UserRole"];
export type Session = Schemas["Session"];
export type SetupState = Schemas["SetupState"];
export type SetupRequest = Schemas["SetupRequest"];
export type SignIn = Schemas["SignIn"];

export type StreamRole = Schemas["StreamPurpose"];
export type Stream = Schemas["Stream"];
export type LiveChoice = Schemas["LiveChoice"];
export type Transport = Schemas["Transport"];
export type CameraState = Schemas["CameraState"];
export type Camera = With<"Camera", { readonly parameters: Parameters }>;
export type CameraCreate = Schemas["CameraCreate"];
export type CameraUpdate = Schemas["CameraUpdate"];
export type Preview = With<"Preview", { readonly parameters: Parameters }>;
export type PreviewCreate = Schemas["PreviewCreate"];
export type PreviewCreated = Schemas["PreviewCreated"];

export type StorageCamera = Schemas["StorageCamera"];
export type Storage = Schemas["Storage"];
export type StorageCreate = Schemas["StorageCreate"];
export type StorageUpdate = Schemas["StorageUpdate"];

export type User = Schemas["User"];
export type UserCreate = Schemas["UserCreate"];
export type UserUpdate = Schemas["UserUpdate"];
export type Token = Schemas["Token"];
export type TokenCreate = Schemas["TokenCreate"];
export type TokenCreated = Schemas["TokenCreated"];

/** A CloudEvents 1.0 envelope; `data` depends on the type. */
export type Event = With<"Event", { readonly data: Readonly<Record<string, unknown>> }>;

export type System = Schemas["System"];

export type Gap = With<"Gap", { readonly parameters: Parameters }>;
export type TimelineAnswer = With<"Timeline", { readonly gaps: readonly Gap[] }>;

/** `[offset, bytes, start_ticks, duration_ticks, entry]`, ticks from the file's start. */
export type PlanFragment = readonly [number, number, number, number, number];
export type PlanFile = With<"PlaybackFile", { readonly fragments: readonly PlanFragment[] }>;
export type PlanTrack = With<"PlaybackTrack", { readonly files: readonly PlanFile[] }>;
export type PlanAnswer = With<"Playback", { readonly tracks: readonly PlanTrack[] }>;

export type Export = Schemas["Export"];
export type ExportCreate = Schemas["ExportCreate"];
