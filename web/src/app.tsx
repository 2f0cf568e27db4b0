/** Decides between set-up, sign-in and the rooms, and keeps the session's connections. */
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { listenToKeys } from "./actions";
import { Shell } from "./components/shell/shell";
import { connection, whenSessionLost } from "./data/client";
import { eventListen } from "./data/event";
import { mayActAs, useSession, useSetup } from "./data/session";
import { useLanguage } from "./i18n";
import { navigate, useLocation } from "./router";
import { SetUp } from "./views/setup/set-up";
import { Waiting } from "./views/sign-in/frame";
import { SignIn } from "./views/sign-in/sign-in";

const Live = lazy(() => import("./views/live/live"));
const Playback = lazy(() => import("./views/playback/playback"));
const Exports = lazy(() => import("./views/exports/exports"));
const Events = lazy(() => import("./views/events/events"));
const Administration = lazy(() => import("./views/administration/administration"));

export function App() {
  const language = useLanguage();
  const queries = useQueryClient();
  const session = useSession();
  const setup = useSetup();
  const signedIn = session.data ?? null;
  const userId = signedIn?.user.id;

  useEffect(() => {
    // The page stays where it is: after signing in again, its address brings everything back.
    whenSessionLost(() => queries.setQueryData(["session"], null));
  }, [queries]);

  useEffect(() => {
    if (!userId) return;
    return eventListen(queries, (event) =>
      window.dispatchEvent(new CustomEvent("varde-event", { detail: event })),
    );
  }, [queries, userId]);

  useEffect(() => listenToKeys((action) => mayActAs(signedIn, action.needs ?? "viewer")), [signedIn]);

  useEffect(() => {
    if (!session.isError && !setup.isError) return;
    const timer = setInterval(() => {
      if (session.isError) void session.refetch();
      if (setup.isError) void setup.refetch();
    }, 2_000);
    return () => clearInterval(timer);
  }, [session, setup]);

  if (session.data === undefined || setup.data === undefined) {
    return <Waiting key={language} failed={session.isError || setup.isError || !connection.online} />;
  }
  if (!signedIn) return setup.data.needed ? <SetUp key={language} /> : <SignIn key={language} />;
  return (
    <Shell key={language} session={signedIn}>
      <Suspense fallback={null}>
        <Page />
      </Suspense>
    </Shell>
  );
}

function Page() {
  const { path } = useLocation();
  const [, room] = path.split("/");
  useEffect(() => {
    if (!["live", "playback", "exports", "events", "administration"].includes(room ?? "")) {
      navigate("/live", { replace: true });
    }
  }, [room]);
  switch (room) {
    case "playback":
      return <Playback />;
    case "exports":
      return <Exports />;
    case "events":
      return <Events />;
    case "administration":
      return <Administration />;
    default:
      return <Live />;
  }
}
