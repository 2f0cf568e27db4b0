/** A tile of the playback wall: the camera's canvas, and words where there is no picture. */
import { ActionIcon, Menu } from "@mantine/core";
import { type CSSProperties, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Icon } from "../../components/icon";
import { toast, toastProblem } from "../../components/problem";
import type { Id } from "../../data/api";
import { still_get } from "../../data/footage";
import { formatTime } from "../../data/time";
import type { GapSpan } from "../../data/timeline";
import { t, tCode } from "../../i18n";
import { clockText, durationText } from "../../i18n/format";
import type { CameraPlayback, Status } from "../../player/playback/camera";
import type { PlaybackEngine } from "../../player/playback/engine";
import tileStyles from "../live/tile.module.css";
import { useZoom } from "../live/zoom";
import styles from "./tile.module.css";

const FADE_MS = 3_000;

interface Props {
  engine: PlaybackEngine;
  camera: Id;
  name: string;
  index: number;
  hidden: boolean;
  /** Whether the camera records sound, and whether it is the one that is heard. */
  hasSound: boolean;
  audible: boolean;
  zone: string | undefined;
  causeAt: (camera: Id) => GapSpan | undefined;
  onEnlarge: () => void;
  onLive: () => void;
  onRemove: () => void;
}

const NOTHING: Status = { kind: "loading" };

export function PlaybackTile(props: Props) {
  const { engine, camera, name, index, hidden, causeAt } = props;
  const box = useRef<HTMLDivElement>(null);
  const [player, setPlayer] = useState<CameraPlayback | undefined>(undefined);
  const [awake, setAwake] = useState(true);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const zoom = useZoom(box);

  // The engine makes its cameras in an effect of the page, which runs after those of its tiles.
  useEffect(() => {
    const frame = requestAnimationFrame(() => setPlayer(engine.cameras.get(camera)));
    return () => cancelAnimationFrame(frame);
  }, [engine, camera]);

  useEffect(() => {
    const element = box.current;
    if (!element || !player) return;
    element.prepend(player.canvas);
    const observer = new ResizeObserver(([entry]) => {
      if (entry) player.setBox(entry.contentRect.width * window.devicePixelRatio);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      player.canvas.remove();
    };
  }, [player]);

  const status = useSyncExternalStore(player?.subscribe ?? noSubscription, player?.status ?? nothing);

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

  const words = statusWords(status, () => causeAt(camera));
  const snapshot = async () => {
    try {
      const blob = await still_get(camera, engine.at, undefined);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name} ${formatTime(engine.at).slice(0, 23).replaceAll(":", "-")}.jpg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      toast(t("playback.snapshot_saved", { time: clockText(engine.at, props.zone) }));
    } catch (error) {
      toastProblem(error);
    }
  };

  return (
    <div
      ref={box}
      className={`${tileStyles.tile} ${styles.tile}`}
      hidden={hidden}
      data-camera={camera}
      data-awake={awake || undefined}
      data-status={status.kind}
      role="group"
      aria-label={t("playback.tile_name", {
        number: index + 1,
        name,
        state: words?.title ?? t("playback.state_picture"),
      })}
      style={zoom.style as CSSProperties}
      onPointerMove={wake}
      onDoubleClick={props.onEnlarge}
    >
      {words && (
        <div className={tileStyles.overlay}>
          <span className={tileStyles.reason}>
            {status.kind === "loading" ? (
              <span className={tileStyles.spinner} />
            ) : (
              <Icon name="warning" size={18} />
            )}
            {words.title}
          </span>
          {words.detail && <span className={tileStyles.since}>{words.detail}</span>}
        </div>
      )}
      <div className={tileStyles.notes}>
        {status.kind === "stills" && (
          <span className={tileStyles.note} title={t("playback.stills_help", { codec: status.codec })}>
            {t("playback.stills")}
          </span>
        )}
        {zoom.zoomed && (
          <button type="button" className={tileStyles.note} onClick={zoom.reset}>
            {t("live.zoom", { factor: zoom.factor })}
          </button>
        )}
      </div>
      <div className={tileStyles.scrim}>
        <span className={tileStyles.number}>{index + 1}</span>
        <span className={tileStyles.name}>{name}</span>
        <span className={tileStyles.grow} />
        {props.hasSound && (
          <ActionIcon
            size={28}
            c="white"
            variant="transparent"
            aria-label={props.audible ? t("live.mute") : t("live.unmute")}
            aria-pressed={props.audible}
            onClick={() => engine.setAudible(props.audible ? null : camera)}
            onDoubleClick={(event) => event.stopPropagation()}
          >
            <Icon name={props.audible ? "sound" : "mute"} size={18} />
          </ActionIcon>
        )}
        <Menu position="top-end" width={210}>
          <Menu.Target>
            <ActionIcon
              size={28}
              c="white"
              variant="transparent"
              aria-label={t("live.menu", { name })}
              onDoubleClick={(event) => event.stopPropagation()}
            >
              <Icon name="more" size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown onDoubleClick={(event) => event.stopPropagation()}>
            <Menu.Item leftSection={<Icon name="live" size={16} />} onClick={props.onLive}>
              {t("playback.go_live")}
            </Menu.Item>
            <Menu.Item leftSection={<Icon name="snapshot" size={16} />} onClick={() => void snapshot()}>
              {t("live.snapshot")}
            </Menu.Item>
            <Menu.Item
              leftSection={<Icon name="fullscreen" size={16} />}
              onClick={() => void box.current?.requestFullscreen().catch(() => undefined)}
            >
              {t("action.fullscreen")}
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item leftSection={<Icon name="close" size={16} />} onClick={props.onRemove}>
              {t("live.remove_tile")}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </div>
    </div>
  );
}

const noSubscription = () => () => undefined;
const nothing = () => NOTHING;

function statusWords(
  status: Status,
  cause: () => GapSpan | undefined,
): { title: string; detail: string | null } | null {
  switch (status.kind) {
    case "picture":
    case "stills":
      return null;
    case "loading":
      return { title: t("common.loading"), detail: null };
    case "error":
      return {
        title: status.offline ? t("connection.lost") : t("playback.unreadable"),
        detail: t("live.retrying"),
      };
    case "gap": {
      const gap = cause();
      if (!gap) return { title: t("playback.nothing_here"), detail: null };
      return {
        title: tCode("gap", gap.cause, { seconds: Number(gap.parameters?.seconds ?? 0) }),
        detail: t("playback.gap_length", { duration: durationText(gap.end - gap.start) }),
      };
    }
  }
}
