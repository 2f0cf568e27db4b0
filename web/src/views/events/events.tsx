/** What happened, newest first and live. */
import { ActionIcon, Select, Skeleton } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { Empty } from "../../components/empty";
import { Icon } from "../../components/icon";
import { ProblemNotice } from "../../components/problem";
import type { Event, Parameters } from "../../data/api";
import { useCameras } from "../../data/camera";
import { useEvents } from "../../data/event";
import { formatTime, parseTime, serverClock } from "../../data/time";
import { hasKey, t, tCode } from "../../i18n";
import { dateTimeText, sinceText } from "../../i18n/format";
import { navigate, setSearch, useLocation } from "../../router";
import styles from "./events.module.css";

export const EVENT_TYPES = [
  "varde.camera.state",
  "varde.recording.gap",
  "varde.storage.state",
  "varde.camera.added",
  "varde.camera.changed",
  "varde.camera.retired",
  "varde.clock.changed",
  "varde.recorder.started",
  "varde.sign_in",
  "varde.sign_in.refused",
];

const LIVE_MAX = 500;
const ROW_PX = 44;

export default function Events() {
  const { search } = useLocation();
  const camera = search.get("camera") ?? undefined;
  const type = search.get("type") ?? undefined;
  const events = useEvents({ camera, type });
  const cameras = useCameras();
  // A microphone is a channel of its own; its events belong to its camera.
  const names = useMemo(
    () =>
      new Map(
        cameras.data?.flatMap((item): [string, string][] => [
          [item.id, item.name],
          ...(item.microphone ? ([[item.microphone, item.name]] as [string, string][]) : []),
        ]),
      ),
    [cameras.data],
  );
  const [live, setLive] = useState<Event[]>([]);
  const scroll = useRef<HTMLDivElement>(null);
  useEffect(() => {
    document.title = `${t("room.events")} · Varde`;
  }, []);
  useEffect(() => {
    const onEvent = (message: globalThis.Event) => {
      const event = (message as CustomEvent<Event>).detail;
      setLive((before) => [event, ...before].slice(0, LIVE_MAX));
    };
    window.addEventListener("varde-event", onEvent);
    return () => window.removeEventListener("varde-event", onEvent);
  }, []);

  const list = useMemo(() => {
    const seen = new Set<string>();
    const stored = events.data?.pages.flatMap((page) => page.items) ?? [];
    return [...live, ...stored].filter((event) => {
      if (seen.has(event.id)) return false;
      seen.add(event.id);
      return (!camera || event.camera === camera) && (!type || event.type === type);
    });
  }, [events.data, live, camera, type]);

  const rows = useVirtualizer({
    count: list.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = events;
  useEffect(() => {
    if (last >= list.length - 20 && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [last, list.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  const filtered = Boolean(camera || type);
  return (
    <div className={styles.room}>
      <header className={styles.bar}>
        <h1>{t("room.events")}</h1>
        <Select
          size="xs"
          aria-label={t("event.filter_type")}
          placeholder={t("event.filter_type")}
          clearable
          data={EVENT_TYPES.map((value) => ({ value, label: tCode("event", value) }))}
          value={type ?? null}
          onChange={(value) => setSearch({ type: value })}
        />
        <Select
          size="xs"
          aria-label={t("event.filter_camera")}
          placeholder={t("event.filter_camera")}
          clearable
          searchable
          data={(cameras.data ?? []).map((item) => ({ value: item.id, label: item.name }))}
          value={camera ?? null}
          onChange={(value) => setSearch({ camera: value })}
        />
      </header>
      {events.isError && !events.data ? (
        <ProblemNotice error={events.error} retry={() => void events.refetch()} />
      ) : events.isPending ? (
        <div className={styles.loading}>
          {[0, 1, 2, 3, 4].map((index) => (
            <Skeleton key={index} height={24} />
          ))}
        </div>
      ) : list.length === 0 ? (
        <Empty icon="events" title={filtered ? t("common.no_match") : t("event.empty_title")}>
          {filtered ? t("event.empty_filtered") : t("event.empty_text")}
        </Empty>
      ) : (
        <div ref={scroll} className={`${styles.scroll} quiet-scroll`}>
          <div className={styles.grid} style={{ height: rows.getTotalSize() }} role="list">
            {items.map((item) => {
              const event = list[item.index];
              return event ? (
                <Row
                  key={event.id}
                  event={event}
                  top={item.start}
                  name={event.camera ? names.get(event.camera) : undefined}
                />
              ) : null;
            })}
          </div>
        </div>
      )}
    </div>
  );
}

/** What an event says beyond its type: the state, the cause, the user. */
export function eventDetail(event: Pick<Event, "type" | "data">): string {
  const data = event.data ?? {};
  const parameters = (data.parameters ?? {}) as Parameters;
  const seconds = Number(parameters.seconds ?? 0);
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  if (event.type === "varde.camera.state") return tCode("camera_state", text(data.state), { seconds });
  if (event.type === "varde.recording.gap") return tCode("gap", text(data.cause), { seconds });
  if (event.type === "varde.storage.state") return tCode("storage_state", text(data.state));
  return text(data.user) ?? text(data.name) ?? "";
}

const ICONS = { error: "error", warning: "warning", info: "pulse" } as const;

function Row({ event, top, name }: { event: Event; top: number; name: string | undefined }) {
  const at = parseTime(event.time) ?? 0;
  const severity = event.severity === "error" || event.severity === "warning" ? event.severity : "info";
  const detail = eventDetail(event);
  const phase = event.phase === "begin" || event.phase === "end" ? `event_phase.${event.phase}` : "";
  return (
    <div
      className={styles.row}
      role="listitem"
      style={{ transform: `translateY(${top}px)` }}
      data-severity={severity}
    >
      <Icon name={ICONS[severity]} size={16} />
      <span className={styles.time} title={dateTimeText(at)}>
        {sinceText(at, serverClock.now())}
      </span>
      <span className={styles.type}>
        {tCode("event", event.type)}
        {hasKey(phase) && event.type === "varde.recording.gap" && <em>{t(phase)}</em>}
      </span>
      <span className={styles.name}>{name ?? ""}</span>
      <span className={styles.detail}>{detail}</span>
      {event.camera && name && (
        <ActionIcon
          size={28}
          aria-label={t("event.show", { name })}
          title={t("event.show", { name })}
          onClick={() => navigate(`/playback?cameras=${event.camera}&t=${formatTime(at - 5_000_000)}`)}
        >
          <Icon name="playback" size={16} />
        </ActionIcon>
      )}
    </div>
  );
}
