import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Export, ExportCreate, Id } from "./api";
import { address, listAll, request } from "./client";

const EXPORTS = ["exports"];

export function useExports() {
  return useQuery({
    queryKey: EXPORTS,
    queryFn: () => listAll<Export>("/exports"),
    refetchInterval: (query) => (query.state.data?.some((item) => item.state === "running") ? 1_000 : 15_000),
  });
}

export function useExportActions() {
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: EXPORTS });
  return {
    create: async (body: ExportCreate) => {
      const created = await request<Export>("POST", "/exports", { body });
      await refresh();
      return created;
    },
    remove: async (id: Id) => {
      await request("DELETE", `/exports/${id}`);
      await refresh();
    },
  };
}

export function exportFile(id: Id): string {
  return address(`/exports/${id}/file`);
}
