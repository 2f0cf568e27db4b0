import { useQuery } from "@tanstack/react-query";
import type { System } from "./api";
import { request } from "./client";

export function useSystem() {
  return useQuery({
    queryKey: ["system"],
    queryFn: () => request<System>("GET", "/system"),
    refetchInterval: 10_000,
    staleTime: 5_000,
  });
}
