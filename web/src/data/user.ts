import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Id, User, UserCreate, UserUpdate } from "./api";
import { listAll, request } from "./client";

const USERS = ["users"];

export function useUsers() {
  return useQuery({ queryKey: USERS, queryFn: () => listAll<User>("/users") });
}

export function useUserActions() {
  const queries = useQueryClient();
  const after = async <T>(work: Promise<T>) => {
    const result = await work;
    await queries.invalidateQueries({ queryKey: USERS });
    return result;
  };
  return {
    create: (body: UserCreate) => after(request<User>("POST", "/users", { body })),
    update: (id: Id, body: UserUpdate) => after(request<User>("PATCH", `/users/${id}`, { body })),
    remove: (id: Id) => after(request<void>("DELETE", `/users/${id}`)),
  };
}
