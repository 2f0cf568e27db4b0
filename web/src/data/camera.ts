import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Camera, CameraCreate, CameraUpdate, Id, Preview, PreviewCreate, PreviewCreated } from "./api";
import { listAll, request } from "./client";

export const CAMERAS = ["cameras"];

export function useCameras() {
  return useQuery({
    queryKey: CAMERAS,
    queryFn: async () =>
      (await listAll<Camera>("/cameras"))
        .filter((camera) => camera.state !== "retired")
        .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true })),
    // Events bring changes at once; this is the net below them.
    refetchInterval: 10_000,
  });
}

export function useCameraActions() {
  const queries = useQueryClient();
  const put = (camera: Camera) => {
    queries.setQueryData<Camera[]>(CAMERAS, (list) =>
      list?.map((item) => (item.id === camera.id ? { ...item, ...camera } : item)),
    );
    void queries.invalidateQueries({ queryKey: CAMERAS });
    return camera;
  };
  return {
    create: async (body: CameraCreate) => put(await request<Camera>("POST", "/cameras", { body })),
    update: async (id: Id, body: CameraUpdate) =>
      put(await request<Camera>("PATCH", `/cameras/${id}`, { body })),
    retire: async (id: Id) => {
      await request("DELETE", `/cameras/${id}`);
      queries.setQueryData<Camera[]>(CAMERAS, (list) => list?.filter((item) => item.id !== id));
      void queries.invalidateQueries({ queryKey: CAMERAS });
    },
  };
}

export function preview_create(body: PreviewCreate): Promise<PreviewCreated> {
  return request("POST", "/previews", { body });
}

export function preview_get(id: Id): Promise<Preview> {
  return request("GET", `/previews/${id}`);
}

export async function preview_delete(id: Id): Promise<void> {
  await request("DELETE", `/previews/${id}`, { keepalive: true }).catch(() => undefined);
}
