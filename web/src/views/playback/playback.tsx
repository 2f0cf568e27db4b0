/** Playback: cameras in step above, the timeline below. */
import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type CSSProperties, useEffect, useMemo, useRef, useState } from "react";
import { useActions } from "../../actions";
import { Empty } from "../../components/empty";
import { Icon } from "../../components/icon";
import { ProblemNotice } from "../../components/problem";
import {
  clampView,
  follow,
  nextEdge,
  type Span,
  union,
  type View,
  zoomView,
} from "../../components/timeline/scale";
import { Timeline } from "../../components/timeline/timeline";
import type { Id } from "../../data/api";
import { useCameras } from "../../data/camera";
import { mayActAs, useSession } from "../../data/session";
import { formatTime, parseTime, SECOND, serverClock } from "../../data/time";
import { useTimelines } from "../../data/timeline";
import { t } from "../../i18n";
import { durationText } from "../../i18n/format";
import { navigate, setSearch, useLocation } from "../../router";
import { ExportDialog } from "../exports/export-dialog";
import { fitGrid, TILES_MAX } from "../live/wall";
import { type Begin, viewAround } from "./begin";
import styles from "./playback.module.css";
import { PlaybackTile } from "./tile";
import { TransportBar } from "./transport-bar";
import { useBegin, usePlayback } from "./use-playback";
import { useZone, ZoneSwitch } from "./zone";

const CAMERAS_AT_FIRST = 4;

export default function Playback() {
  const { search } = useLocation();
  const cameras = useCameras();
  const all = useMemo(() => cameras.data ?? [], [cameras.data]);
  useEffect(() => {
    document.title = `${t("room.playback")} · Varde`;
  }, []);

  if (cameras.isError && !cameras.data) {
    return <ProblemNotice error={cameras.error} retry={() => void cameras.refetch()} />;
  }
  if (!cameras.data) return <div className={styles.room} aria-busy="true" />;
  if (all.length === 0) {
    return (
      <Empty icon="playback" title={t("playback.empty_title")}>
        {t("playback.empty_text")}
      </Empty>
    );
  }
  const named = search.get("cameras");
  const known = new Set(all.map((camera) => camera.id));
  const chosen =
    named === null
      ? all.slice(0, CAMERAS_AT_FIRST).map((camera) => camera.id)
      : named.split(",").filter((id) => known.has(id));
  return <Opening chosen={chosen.slice(0, TILES_MAX)} />;
}

/** Finds out where to begin, unless the address says so. */
function Opening({ chosen }: { chosen: Id[] }) {
  const asked = parseTime(useLocation().search.get("t"));
  const newest = useBegin(chosen, asked === null);
  const begin = asked === null ? newest : { at: asked, view: viewAround(asked, serverClock.now()) };
  return begin ? <Room chosen={chosen} begin={begin} /> : <div className={styles.room} aria-busy="true" />;
}

function Room({ chosen, begin }: { chosen: Id[]; begin: Begin }) {
  const { search } = useLocation();
  const cameras = useCameras();
  const session = useSession();
  const zone = useZone();
  const { engine, snapshot, playhead } = usePlayback(chosen, begin.at, search.get("t"));
  const [view, setViewState] = useState<View>(() => namedView(search) ?? begin.view);
  const [selection, setSelection] = useState<Span | null>(null);
  const [exporting, setExporting] = useState(false);
  const [big, setBig] = useState<Id | null>(null);
  const { ref, width, height } = useElementSize();
  const rows = useTimelines(chosen, view);
  const names = useMemo(
    () => new Map(cameras.data?.map((camera) => [camera.id, camera.name])),
    [cameras.data],
  );
  const mayExport = mayActAs(session.data, "operator");

  const held = useRef(0);
  const setView = (next: View) => {
    held.current = performance.now();
    setViewState(next);
  };

  // While playing, the view follows the playhead, unless somebody just moved it.
  useEffect(
    () =>
      engine.onTime((at) => {
        if (!engine.snapshot().playing || performance.now() - held.current < 4_000) return;
        setViewState((before) => follow(before, at));
      }),
    [engine],
  );
  useEffect(() => {
    const timer = setTimeout(
      () => setSearch({ from: formatTime(view.start).slice(0, 19), to: formatTime(view.end).slice(0, 19) }),
      500,
    );
    return () => clearTimeout(timer);
  }, [view]);

  const setCameras = (ids: Id[]) => setSearch({ cameras: ids.join(",") || null });
  const seekShown = (at: number) => {
    engine.seek(at);
    setViewState((before) => follow(before, at));
  };
  const recorded = () => union(rows.flatMap((row) => row.recordings));
  const jumpEdge = (forward: boolean) => {
    const edge = nextEdge(recorded(), engine.at, forward);
    if (edge !== null) seekShown(edge);
  };
  const zoom = (factor: number) => setView(clampView(zoomView(view, factor, engine.at), serverClock.now()));

  useActions([
    {
      id: "play",
      label: "action.play",
      keys: [" ", "k"],
      group: "group.playback",
      run: () => engine.toggle(),
    },
    {
      id: "reverse",
      label: "action.shuttle_back",
      keys: ["j"],
      group: "group.playback",
      run: () => engine.shuttle(-1),
    },
    {
      id: "forward",
      label: "action.shuttle_on",
      keys: ["l"],
      group: "group.playback",
      run: () => engine.shuttle(1),
    },
    {
      id: "step-back",
      label: "action.step_back",
      keys: ["ArrowLeft"],
      group: "group.playback",
      run: () => void engine.step(false),
    },
    {
      id: "step-on",
      label: "action.step_on",
      keys: ["ArrowRight"],
      group: "group.playback",
      run: () => void engine.step(true),
    },
    {
      id: "back-10",
      label: "action.back_10",
      keys: ["Shift+ArrowLeft"],
      group: "group.playback",
      run: () => seekShown(engine.at - 10 * SECOND),
    },
    {
      id: "on-10",
      label: "action.on_10",
      keys: ["Shift+ArrowRight"],
      group: "group.playback",
      run: () => seekShown(engine.at + 10 * SECOND),
    },
    {
      id: "faster",
      label: "action.faster",
      keys: ["ArrowUp", ">"],
      group: "group.playback",
      run: () => engine.faster(1),
    },
    {
      id: "slower",
      label: "action.slower",
      keys: ["ArrowDown", "<"],
      group: "group.playback",
      run: () => engine.faster(-1),
    },
    {
      id: "edge-back",
      label: "action.edge_back",
      keys: ["["],
      group: "group.timeline",
      run: () => jumpEdge(false),
    },
    {
      id: "edge-on",
      label: "action.edge_on",
      keys: ["]"],
      group: "group.timeline",
      run: () => jumpEdge(true),
    },
    {
      id: "zoom-in",
      label: "action.zoom_in",
      keys: ["+", "="],
      group: "group.timeline",
      run: () => zoom(0.5),
    },
    { id: "zoom-out", label: "action.zoom_out", keys: ["-"], group: "group.timeline", run: () => zoom(2) },
    {
      id: "latest",
      label: "action.latest",
      keys: ["n"],
      group: "group.timeline",
      run: () => seekShown(serverClock.now() - 10 * SECOND),
    },
    {
      id: "mark-in",
      label: "action.mark_in",
      keys: ["i"],
      group: "group.timeline",
      run: () => setSelection({ start: engine.at, end: Math.max(selection?.end ?? 0, engine.at + SECOND) }),
    },
    {
      id: "mark-out",
      label: "action.mark_out",
      keys: ["o"],
      group: "group.timeline",
      run: () =>
        setSelection({
          start: Math.min(selection?.start ?? Number.POSITIVE_INFINITY, engine.at - SECOND),
          end: engine.at,
        }),
    },
    {
      id: "export",
      label: "action.export",
      keys: ["e"],
      group: "group.playback",
      needs: "operator",
      run: () => setExporting(true),
    },
    {
      id: "playback-escape",
      label: "action.clear",
      keys: ["Escape"],
      group: "group.playback",
      run: () => (selection ? setSelection(null) : setBig(null)),
    },
    ...chosen.slice(0, 9).map((id, index) => ({
      id: `playback-tile-${index + 1}`,
      label: `action.tile_${index + 1}` as "action.tile_1",
      keys: [String(index + 1)],
      group: "group.playback" as const,
      run: () => setBig(big === id ? null : id),
    })),
  ]);

  const shown = big && chosen.includes(big) ? [big] : chosen;
  const grid = fitGrid(Math.max(1, shown.length), width || 1, height || 1, "auto");
  const causeAt = (camera: Id) => {
    const at = engine.at;
    return rows.find((row) => row.camera === camera)?.gaps.findLast((gap) => at >= gap.start && at < gap.end);
  };

  return (
    <div className={styles.room}>
      <header className={styles.bar}>
        <h1>{t("room.playback")}</h1>
        <CameraPicker chosen={chosen} onChange={setCameras} />
        <span className={styles.space} />
        <ZoneSwitch zone={zone} />
        {mayExport && (
          <Button
            size="xs"
            variant="default"
            leftSection={<Icon name="exports" size={16} />}
            onClick={() => setExporting(true)}
          >
            {t("action.export")}
          </Button>
        )}
      </header>
      <div
        ref={ref}
        className={`${styles.wall} quiet-scroll`}
        data-scrolls={grid.scrolls || undefined}
        style={{ "--columns": grid.columns, "--rows": grid.rows } as CSSProperties}
      >
        {chosen.length === 0 && (
          <Empty icon="camera" title={t("playback.choose_title")}>
            {t("playback.choose_text")}
          </Empty>
        )}
        {chosen.map((id, index) => (
          <PlaybackTile
            key={id}
            engine={engine}
            camera={id}
            name={names.get(id) ?? ""}
            index={index}
            hidden={!shown.includes(id)}
            hasSound={cameras.data?.find((camera) => camera.id === id)?.microphone != null}
            audible={snapshot.audible === id}
            causeAt={causeAt}
            zone={zone.timeZone}
            onEnlarge={() => setBig(big === id ? null : id)}
            onLive={() => navigate(`/live?layout=1&cameras=${id}`)}
            onRemove={() => setCameras(chosen.filter((other) => other !== id))}
          />
        ))}
        {snapshot.note && (
          <div className={styles.notice} role="status">
            {snapshot.note.kind === "jumped"
              ? t("playback.jumped", { duration: durationText(snapshot.note.to - snapshot.note.from) })
              : t("playback.end")}
          </div>
        )}
      </div>
      <TransportBar
        engine={engine}
        snapshot={snapshot}
        zone={zone.timeZone}
        selection={selection}
        onSeek={seekShown}
        onClearSelection={() => setSelection(null)}
        onExport={mayExport ? () => setExporting(true) : undefined}
      />
      <Timeline
        rows={rows}
        names={names}
        view={view}
        onView={setView}
        playhead={playhead}
        selection={selection}
        onSelection={setSelection}
        onScrub={(at) => engine.scrub(at)}
        onSeek={(at) => engine.seek(at)}
        zone={zone.timeZone}
      />
      {exporting && (
        <ExportDialog
          cameras={chosen}
          range={selection ?? { start: engine.at - 30 * SECOND, end: engine.at + 30 * SECOND }}
          zone={zone.timeZone}
          close={() => setExporting(false)}
        />
      )}
    </div>
  );
}

/** The view that the address names. */
function namedView(search: URLSearchParams): View | null {
  const from = parseTime(search.get("from") ? `${search.get("from")}Z` : null);
  const to = parseTime(search.get("to") ? `${search.get("to")}Z` : null);
  return from !== null && to !== null && to - from >= SECOND ? { start: from, end: to } : null;
}

function CameraPicker({ chosen, onChange }: { chosen: Id[]; onChange: (ids: Id[]) => void }) {
  const cameras = useCameras();
  const list = cameras.data ?? [];
  return (
    <Menu width={260} closeOnItemClick={false} position="bottom-start">
      <Menu.Target>
        <Tooltip label={t("playback.cameras")}>
          <ActionIcon aria-label={t("playback.cameras")} w="auto" px={8}>
            <span className={styles.picker}>
              <Icon name="camera" size={18} />
              {t("playback.camera_count", { count: chosen.length })}
            </span>
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown mah={360} className="quiet-scroll">
        {list.slice(0, 300).map((camera) => {
          const active = chosen.includes(camera.id);
          return (
            <Menu.Item
              key={camera.id}
              role="menuitemcheckbox"
              aria-checked={active}
              disabled={!active && chosen.length >= TILES_MAX}
              leftSection={<span className={styles.tick}>{active && <Icon name="check" size={16} />}</span>}
              onClick={() =>
                onChange(active ? chosen.filter((id) => id !== camera.id) : [...chosen, camera.id])
              }
            >
              {camera.name}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
