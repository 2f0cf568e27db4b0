/** Holds the engine of the page and ties it to the address. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Id } from "../../data/api";
import { plan_get } from "../../data/footage";
import { formatTime, type Micros, parseTime, serverClock } from "../../data/time";
import { footage_find, footage_newest } from "../../data/timeline";
import { PlaybackEngine } from "../../player/playback/engine";
import { Footage } from "../../player/playback/footage";
import { setSearch } from "../../router";
import { type Begin, beginAt } from "./begin";

const ADDRESS_MS = 400;

/** Where the page opens when its address names no time; `undefined` while that is looked up. */
export function useBegin(cameras: Id[], needed: boolean): Begin | undefined {
  const { data, isError } = useQuery({
    // Looked up once a visit: a camera chosen later must not move the playhead.
    queryKey: ["playback", "begin"],
    queryFn: async ({ signal }) => {
      const newest = await Promise.all(cameras.map((camera) => footage_newest(camera, signal)));
      return beginAt(
        newest.filter((span) => span !== null),
        serverClock.now(),
      );
    },
    enabled: needed,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  // Where the lookup fails, the tiles say why and try again.
  return data ?? (isError ? beginAt([], serverClock.now()) : undefined);
}

export function usePlayback(cameras: Id[], begin: Micros, asked: string | null) {
  const [engine] = useState(
    () =>
      new PlaybackEngine(
        parseTime(asked) ?? begin,
        (camera, track) =>
          new Footage(
            (start, end, signal) => plan_get(camera, start, end, track, signal),
            (at, forward, signal) => footage_find(camera, at, forward, signal),
            () => serverClock.now(),
          ),
        () => serverClock.now(),
      ),
  );
  const snapshot = useSyncExternalStore(engine.subscribe, engine.snapshot);
  const key = cameras.join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the list.
  useEffect(() => engine.setCameras(cameras), [engine, key]);
  useEffect(() => () => engine.dispose(), [engine]);

  // The address follows the playhead once it rests, and the playhead follows an address typed or gone back to.
  // Every address that was written here is remembered until another one comes from outside.
  const written = useRef(new Set([asked]));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const write = () => {
      const text = formatTime(engine.at);
      written.current.add(text);
      setSearch({ t: text });
    };
    const stop = engine.onTime(() => {
      if (engine.snapshot().playing) return;
      clearTimeout(timer);
      timer = setTimeout(write, ADDRESS_MS);
    });
    const stopState = engine.subscribe(() => {
      if (engine.snapshot().playing) return;
      clearTimeout(timer);
      timer = setTimeout(write, ADDRESS_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
      stopState();
    };
  }, [engine]);
  useEffect(() => {
    const at = parseTime(asked);
    if (!asked || at === null || written.current.has(asked)) return;
    written.current.clear();
    engine.seek(at);
  }, [asked, engine]);

  const playhead = useMemo(() => ({ at: () => engine.at, subscribe: engine.onTime.bind(engine) }), [engine]);
  return { engine, snapshot, playhead };
}
