import { type QueryClient, useInfiniteQuery } from "@tanstack/react-query";
import type { Camera, CameraState, Event, List } from "./api";
import { CAMERAS } from "./camera";
import { request, socketAddress } from "./client";

export interface EventFilter {
  camera?: string;
  type?: string;
}

export function useEvents(filter: EventFilter) {
  return useInfiniteQuery({
    queryKey: ["events", filter],
    queryFn: ({ pageParam }) =>
      request<List<Event>>("GET", "/events", {
        query: { limit: 200, cursor: pageParam, camera: filter.camera, type: filter.type },
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

/**
 * Listens to the server's events for as long as someone is signed in and keeps the cached lists fresh.
 * Gives the function that ends it.
 */
export function eventListen(queries: QueryClient, onEvent: (event: Event) => void): () => void {
  let socket: WebSocket | undefined;
  let tries = 0;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const open = () => {
    socket = new WebSocket(socketAddress("/events/ws"));
    socket.onopen = () => {
      tries = 0;
    };
    socket.onmessage = (message) => {
      if (typeof message.data !== "string") return;
      try {
        const event = JSON.parse(message.data) as Event;
        if (typeof event.type !== "string") return;
        apply(queries, event);
        onEvent(event);
      } catch {
        // A message of a newer release that is no event for us.
      }
    };
    socket.onclose = () => {
      if (ended) return;
      timer = setTimeout(open, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
      tries += 1;
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    socket?.close();
  };
}

function apply(queries: QueryClient, event: Event): void {
  if (event.type === "varde.camera.state") {
    const id = event.camera;
    const state = event.data?.state;
    if (id && typeof state === "string") {
      queries.setQueryData<Camera[]>(CAMERAS, (list) =>
        list?.map((camera) =>
          camera.id === id
            ? {
                ...camera,
                // A state of a newer server is shown by its code.
                state: state as CameraState,
                state_since: event.time,
                parameters: (event.data?.parameters as Camera["parameters"]) ?? camera.parameters,
              }
            : camera,
        ),
      );
      return;
    }
  }
  if (event.type.startsWith("varde.camera.")) void queries.invalidateQueries({ queryKey: CAMERAS });
  if (event.type.startsWith("varde.storage.")) void queries.invalidateQueries({ queryKey: ["storages"] });
}
