import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Id, Storage, StorageCreate, StorageUpdate } from "./api";
import { listAll, request } from "./client";

const STORAGES = ["storages"];

export function useStorages(enabled = true) {
  return useQuery({
    queryKey: STORAGES,
    queryFn: () => listAll<Storage>("/storages"),
    refetchInterval: 15_000,
    enabled,
  });
}

export function useStorageActions() {
  const queries = useQueryClient();
  const after = async <T>(work: Promise<T>) => {
    const result = await work;
    await queries.invalidateQueries({ queryKey: STORAGES });
    return result;
  };
  return {
    create: (body: StorageCreate) => after(request<Storage>("POST", "/storages", { body })),
    update: (id: Id, body: StorageUpdate) => after(request<Storage>("PATCH", `/storages/${id}`, { body })),
  };
}
