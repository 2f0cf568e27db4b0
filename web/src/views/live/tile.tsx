/** A tile of the wall: the imperative player below, the words on top. */
import { ActionIcon, Menu } from "@mantine/core";
import {
  type CSSProperties,
  type DragEvent,
  type MouseEvent,
  type PointerEvent,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { severityOf, stateText } from "../../components/camera-state";
import { Icon } from "../../components/icon";
import { toast } from "../../components/problem";
import type { Camera, Id } from "../../data/api";
import { formatTime, parseTime, serverClock } from "../../data/time";
import { t, tCode } from "../../i18n";
import { dateTimeText, durationText, sinceText } from "../../i18n/format";
import { LivePlayer, type LiveSnapshot } from "../../player/live/player";
import { navigate } from "../../router";
import { DRAG } from "./live";
import styles from "./tile.module.css";
import { useZoom } from "./zoom";

const FADE_MS = 3_000;

interface Props {
  camera: Camera;
  index: number;
  big: boolean;
  selected: boolean;
  onSelect: () => void;
  onEnlarge: () => void;
  onRemove: () => void;
  onDrop: (event: DragEvent) => void;
}

export function subHeight(camera: Camera): number | undefined {
  const sub = camera.streams.find((stream) => stream.roles.includes("sub") && !stream.roles.includes("live"));
  return sub ? (sub.height ?? 360) : undefined;
}

/** Makes the player once and gives its snapshots. */
export function useLivePlayer(id: Id, lines: number | undefined, stream?: "live" | "sub") {
  const [player] = useState(() => new LivePlayer({ camera: id, subHeight: lines, stream }));
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    element.prepend(player.element);
    const observer = new ResizeObserver(([entry]) => {
      if (entry) player.setHeight(entry.contentRect.height * window.devicePixelRatio);
    });
    observer.observe(element);
    player.start();
    return () => {
      observer.disconnect();
      player.stop();
      player.element.remove();
    };
  }, [player]);
  useEffect(() => player.setSubHeight(lines), [player, lines]);
  const snapshot = useSyncExternalStore(player.subscribe, player.snapshot);
  return { player, box, snapshot };
}

export function LiveTile({ camera, index, big, selected, onSelect, onEnlarge, onRemove, onDrop }: Props) {
  const { player, box, snapshot } = useLivePlayer(camera.id, subHeight(camera));
  const [awake, setAwake] = useState(true);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const [over, setOver] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const press = useRef<ReturnType<typeof setTimeout>>(undefined);
  const zoom = useZoom(box);
  const audible = snapshot.audio && snapshot.phase === "playing";

  const wake = () => {
    setAwake(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setAwake(false), FADE_MS);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: names show themselves once when the tile appears.
  useEffect(() => {
    wake();
    return () => clearTimeout(timer.current);
  }, []);

  const onContextMenu = (event: MouseEvent) => {
    event.preventDefault();
    setMenu({ x: event.clientX, y: event.clientY });
  };
  const onPointerDown = (event: PointerEvent) => {
    onSelect();
    clearTimeout(press.current);
    if (event.pointerType !== "touch") return;
    const { clientX: x, clientY: y } = event;
    press.current = setTimeout(() => setMenu({ x, y }), 550);
  };
  const endPress = () => clearTimeout(press.current);

  const snapshotNow = () => {
    const canvas = player.capture();
    if (!canvas) return toast(t("live.snapshot_none"));
    const name = `${camera.name} ${formatTime(serverClock.now()).slice(0, 19).replaceAll(":", "-")}.jpg`;
    canvas.toBlob((blob) => blob && download(blob, name), "image/jpeg", 0.92);
  };

  const words = overlayWords(camera, snapshot);
  return (
    <div
      ref={box}
      className={styles.tile}
      data-tile={index}
      data-camera={camera.id}
      data-phase={snapshot.phase}
      data-transport={snapshot.transport ?? undefined}
      data-awake={awake || undefined}
      data-frozen={snapshot.frozenSince !== null || undefined}
      data-selected={selected || undefined}
      data-over={over || undefined}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a tile is a stop for keyboard and screen reader.
      tabIndex={0}
      role="group"
      aria-label={t("live.tile_name", {
        number: index + 1,
        name: camera.name,
        state: words?.title ?? stateText(camera.state, camera.parameters),
      })}
      style={zoom.style as CSSProperties}
      draggable={!zoom.zoomed}
      onDragStart={(event) => event.dataTransfer.setData(DRAG, camera.id)}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(DRAG)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        onDrop(event);
      }}
      onPointerMove={wake}
      onPointerDown={onPointerDown}
      onPointerUp={endPress}
      onPointerCancel={endPress}
      onFocus={wake}
      onDoubleClick={onEnlarge}
      onContextMenu={onContextMenu}
      onKeyDown={(event) => {
        if (event.target !== event.currentTarget) return;
        if (event.key === "Enter") onEnlarge();
        else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
          const frame = event.currentTarget.getBoundingClientRect();
          setMenu({ x: frame.left + 16, y: frame.top + 16 });
        } else return;
        event.preventDefault();
      }}
    >
      {words && <Overlay words={words} busy={snapshot.phase === "connecting"} />}
      <div className={styles.notes}>
        {snapshot.delayMs !== null && (
          <span className={styles.note} data-amber>
            {t("live.delay", { seconds: Math.round(snapshot.delayMs / 100) / 10 })}
          </span>
        )}
        {snapshot.transcoded && (
          <span className={styles.note} title={t("live.transcoded_help")}>
            {t("live.transcoded")}
          </span>
        )}
        {zoom.zoomed && (
          <button type="button" className={styles.note} onClick={zoom.reset}>
            {t("live.zoom", { factor: zoom.factor })}
          </button>
        )}
      </div>
      <div className={styles.scrim}>
        <span className={styles.number}>{index + 1}</span>
        <span className={styles.name}>{camera.name}</span>
        {camera.recording ? (
          <span className={styles.recording}>{t("camera.recording")}</span>
        ) : (
          camera.record && <span className={styles.notRecording}>{t("camera.not_recording")}</span>
        )}
        <span className={styles.grow} />
        {audible && (
          <ActionIcon
            size={28}
            c="white"
            variant="transparent"
            aria-label={snapshot.muted ? t("live.unmute") : t("live.mute")}
            aria-pressed={!snapshot.muted}
            onClick={() => player.setMuted(!snapshot.muted)}
            onDoubleClick={(event) => event.stopPropagation()}
          >
            <Icon name={snapshot.muted ? "mute" : "sound"} size={18} />
          </ActionIcon>
        )}
        <ActionIcon
          size={28}
          c="white"
          variant="transparent"
          aria-label={t("live.menu", { name: camera.name })}
          onDoubleClick={(event) => event.stopPropagation()}
          onClick={(event) => {
            const frame = event.currentTarget.getBoundingClientRect();
            setMenu({ x: frame.left, y: frame.top });
          }}
        >
          <Icon name="more" size={18} />
        </ActionIcon>
      </div>
      {menu && (
        <Menu opened onClose={() => setMenu(null)} position="bottom-start" width={210}>
          <Menu.Target>
            <span className={styles.anchor} style={{ left: menu.x, top: menu.y }} />
          </Menu.Target>
          <Menu.Dropdown onDoubleClick={(event) => event.stopPropagation()}>
            <Menu.Item leftSection={<Icon name="fullscreen" size={16} />} onClick={onEnlarge}>
              {big ? t("live.show_all") : t("live.enlarge")}
            </Menu.Item>
            <Menu.Item
              leftSection={<Icon name="playback" size={16} />}
              onClick={() =>
                navigate(`/playback?cameras=${camera.id}&t=${formatTime(serverClock.now() - 30_000_000)}`)
              }
            >
              {t("live.go_playback")}
            </Menu.Item>
            <Menu.Item leftSection={<Icon name="snapshot" size={16} />} onClick={snapshotNow}>
              {t("live.snapshot")}
            </Menu.Item>
            <Menu.Item
              leftSection={<Icon name="fullscreen" size={16} />}
              onClick={() => void box.current?.requestFullscreen().catch(() => undefined)}
            >
              {t("action.fullscreen")}
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item leftSection={<Icon name="close" size={16} />} onClick={onRemove}>
              {t("live.remove_tile")}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  );
}

interface Words {
  title: string;
  since: number | null;
  doing: string | null;
  bad: boolean;
}

/** Says why there is no moving picture, since when, and what is being done; `null` while all is well. */
export function overlayWords(
  camera: Pick<Camera, "state" | "state_since" | "parameters">,
  snapshot: LiveSnapshot,
): Words | null {
  if (snapshot.phase === "playing" && snapshot.frozenSince === null) return null;
  const told = snapshot.camera ?? {
    state: camera.state,
    parameters: camera.parameters,
    since: camera.state_since,
  };
  if (told.state !== "online") {
    return {
      title: stateText(told.state, told.parameters),
      since: parseTime(told.since),
      doing: tCode("camera_doing", told.state) || null,
      bad: severityOf(told.state) === "bad",
    };
  }
  if (snapshot.refused) {
    return { title: tCode("problem", snapshot.refused), since: null, doing: null, bad: true };
  }
  if (snapshot.frozenSince !== null) {
    return {
      title: t("live.frozen"),
      since: snapshot.frozenSince * 1000,
      doing: t("live.retrying"),
      bad: true,
    };
  }
  if (snapshot.phase === "waiting") {
    return { title: t("live.no_connection"), since: null, doing: t("live.retrying"), bad: true };
  }
  return { title: t("live.connecting"), since: null, doing: null, bad: false };
}

export function Overlay({ words, busy }: { words: Words; busy: boolean }) {
  const [, tick] = useState(0);
  const [late, setLate] = useState(!busy);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 1_000);
    // A picture that comes within a moment needs no words.
    const show = setTimeout(() => setLate(true), 600);
    return () => {
      clearInterval(timer);
      clearTimeout(show);
    };
  }, []);
  if (!late && !words.bad) return null;
  const now = Date.now() * 1000;
  const exact = words.since === null ? undefined : dateTimeText(words.since);
  return (
    <div className={styles.overlay} role="status">
      <span className={styles.reason} data-bad={words.bad || undefined}>
        {words.bad ? <Icon name="warning" size={18} /> : <span className={styles.spinner} />}
        {words.title}
      </span>
      {words.since !== null && (
        <span className={styles.since} title={exact}>
          {now - words.since < 3_600_000_000
            ? t("live.since", { duration: durationText(Math.max(0, now - words.since)) })
            : t("live.since_time", { time: sinceText(words.since, now) })}
        </span>
      )}
      {words.doing && <span className={styles.since}>{words.doing}</span>}
    </div>
  );
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function EmptyTile({
  index,
  cameras,
  loading,
  onDrop,
  onChoose,
}: {
  index: number;
  cameras: Camera[];
  loading: boolean;
  onDrop: (event: DragEvent) => void;
  onChoose: (id: Id) => void;
}) {
  const [over, setOver] = useState(false);
  return (
    <div
      className={styles.empty}
      data-tile={index}
      data-over={over || undefined}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(DRAG)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        onDrop(event);
      }}
    >
      {!loading && (
        <Menu position="bottom" width={240}>
          <Menu.Target>
            <button type="button" aria-label={t("live.fill_tile", { number: index + 1 })}>
              <Icon name="plus" size={20} />
              <span>{t("live.empty_tile")}</span>
            </button>
          </Menu.Target>
          <Menu.Dropdown mah={320} className="quiet-scroll">
            {cameras.slice(0, 100).map((camera) => (
              <Menu.Item key={camera.id} onClick={() => onChoose(camera.id)}>
                {camera.name}
              </Menu.Item>
            ))}
            {cameras.length === 0 && <Menu.Label>{t("live.all_shown")}</Menu.Label>}
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  );
}
