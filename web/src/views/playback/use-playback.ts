/** Holds the engine of the page and ties it to the address. */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Id } from "../../data/api";
import { plan_get } from "../../data/footage";
import { formatTime, type Micros, parseTime, SECOND, serverClock } from "../../data/time";
import { footage_find } from "../../data/timeline";
import { PlaybackEngine } from "../../player/playback/engine";
import { Footage } from "../../player/playback/footage";
import { setSearch } from "../../router";

/** Where playback begins when nobody says when: a little ago, so that there is something to see. */
const BEFORE_NOW: Micros = 60 * SECOND;
const ADDRESS_MS = 400;

export function usePlayback(cameras: Id[], asked: string | null) {
  const [engine] = useState(
    () =>
      new PlaybackEngine(
        parseTime(asked) ?? serverClock.now() - BEFORE_NOW,
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
  const written = useRef(asked);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const write = () => {
      written.current = formatTime(engine.at);
      setSearch({ t: written.current });
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
    if (asked && asked !== written.current && at !== null) engine.seek(at);
  }, [asked, engine]);

  const playhead = useMemo(() => ({ at: () => engine.at, subscribe: engine.onTime.bind(engine) }), [engine]);
  return { engine, snapshot, playhead };
}
