import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Id, Token, TokenCreate, TokenCreated } from "./api";
import { listAll, request } from "./client";

const TOKENS = ["tokens"];

export function useTokens() {
  return useQuery({ queryKey: TOKENS, queryFn: () => listAll<Token>("/tokens") });
}

export function useTokenActions() {
  const queries = useQueryClient();
  return {
    create: async (body: TokenCreate) => {
      const created = await request<TokenCreated>("POST", "/tokens", { body });
      await queries.invalidateQueries({ queryKey: TOKENS });
      return created;
    },
    remove: async (id: Id) => {
      await request("DELETE", `/tokens/${id}`);
      await queries.invalidateQueries({ queryKey: TOKENS });
    },
  };
}
