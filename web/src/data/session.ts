import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { Role, Session, SetupRequest, SetupState, SignIn } from "./api";
import { ApiError, request, setCsrf } from "./client";

const KEY = ["session"];

async function session_get(): Promise<Session | null> {
  try {
    const session = await request<Session>("GET", "/sessions/current", { anonymous: true });
    setCsrf(session.csrf);
    return session;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

export function useSession() {
  return useQuery({ queryKey: KEY, queryFn: session_get, staleTime: Number.POSITIVE_INFINITY });
}

export type Credentials = SignIn;

export function useSessionActions() {
  const queries = useQueryClient();
  const enter = (session: Session) => {
    setCsrf(session.csrf);
    queries.setQueryData(KEY, session);
    queries.setQueryData(["setup"], { needed: false });
  };
  return {
    signIn: async (credentials: Credentials) =>
      enter(await request<Session>("POST", "/sessions", { body: credentials, anonymous: true })),
    setUp: async (body: SetupRequest) =>
      enter(await request<Session>("POST", "/setup", { body, anonymous: true })),
    signOut: async () => {
      await request("DELETE", "/sessions/current", { anonymous: true }).catch(() => undefined);
      setCsrf("");
      queries.clear();
      queries.setQueryData(KEY, null);
    },
  };
}

export function useSetup() {
  return useQuery({
    queryKey: ["setup"],
    queryFn: () => request<SetupState>("GET", "/setup", { anonymous: true }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const RANK: Record<Role, number> = { viewer: 0, operator: 1, administrator: 2 };

/** Whether a role includes another; the server decides in the end, this only hides what it would refuse. */
export function mayActAs(session: Session | null | undefined, needed: Role): boolean {
  return session ? RANK[session.user.role] >= RANK[needed] : false;
}
