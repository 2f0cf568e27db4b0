/** Play, speed, steps, and the time field. */
import { ActionIcon, Button, Menu, Popover, TextInput, Tooltip } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { Icon, type IconName } from "../../components/icon";
import type { Span } from "../../components/timeline/scale";
import type { Micros } from "../../data/time";
import { type Key, t } from "../../i18n";
import { dateText, durationText, preciseText, zoneOffset } from "../../i18n/format";
import { SPEEDS } from "../../player/playback/clock";
import type { EngineSnapshot, PlaybackEngine } from "../../player/playback/engine";
import styles from "./playback.module.css";
import { fromField, toField } from "./zone";

const FRACTIONS: Record<number, string> = { 0.125: "⅛", 0.25: "¼", 0.5: "½" };

export function speedText(speed: number): string {
  const size = Math.abs(speed);
  return `${speed < 0 ? "−" : ""}${FRACTIONS[size] ?? size}×`;
}

export function TransportBar({
  engine,
  snapshot,
  zone,
  selection,
  onSeek,
  onClearSelection,
  onExport,
}: {
  engine: PlaybackEngine;
  snapshot: EngineSnapshot;
  zone: string | undefined;
  selection: Span | null;
  onSeek: (at: Micros) => void;
  onClearSelection: () => void;
  onExport: (() => void) | undefined;
}) {
  const { playing, speed } = snapshot;
  return (
    <div className={styles.transport} role="toolbar" aria-label={t("playback.controls")}>
      <div className={styles.left}>
        <When engine={engine} zone={zone} onSeek={onSeek} />
      </div>
      <Control
        icon="rewind"
        label="action.shuttle_back"
        onClick={() => engine.shuttle(-1)}
        active={playing && speed < 0}
      />
      <Control icon="stepBack" label="action.step_back" onClick={() => void engine.step(false)} />
      <Tooltip label={playing ? t("action.pause") : t("action.play")}>
        <ActionIcon
          size={38}
          variant="default"
          className={styles.main}
          aria-label={playing ? t("action.pause") : t("action.play")}
          onClick={() => engine.toggle()}
        >
          <Icon name={playing ? "pause" : speed < 0 ? "reverse" : "play"} />
        </ActionIcon>
      </Tooltip>
      <Control icon="stepOn" label="action.step_on" onClick={() => void engine.step(true)} />
      <Control
        icon="forward"
        label="action.shuttle_on"
        onClick={() => engine.shuttle(1)}
        active={playing && speed > 1}
      />
      <Menu width={110} position="top">
        <Menu.Target>
          <Button
            variant="subtle"
            size="compact-sm"
            className={styles.speed}
            aria-label={t("playback.speed", { speed: speedText(speed) })}
          >
            {speedText(speed)}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {[...SPEEDS].reverse().map((value) => (
            <Menu.Item
              key={value}
              role="menuitemradio"
              aria-checked={value === Math.abs(speed)}
              rightSection={value === Math.abs(speed) ? <Icon name="check" size={14} /> : null}
              onClick={() => engine.setSpeed(Math.sign(speed) * value)}
            >
              {speedText(value)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <div className={styles.right}>
        {selection && (
          <span className={styles.range}>
            {t("playback.selected", { duration: durationText(selection.end - selection.start) })}
            {onExport && (
              <Button size="compact-xs" variant="default" onClick={onExport}>
                {t("action.export")}
              </Button>
            )}
            <ActionIcon size={22} aria-label={t("playback.clear_selection")} onClick={onClearSelection}>
              <Icon name="close" size={14} />
            </ActionIcon>
          </span>
        )}
        {snapshot.stalled && <span className={styles.range}>{t("playback.stalled")}</span>}
      </div>
    </div>
  );
}

function Control({
  icon,
  label,
  onClick,
  active,
}: {
  icon: IconName;
  label: Key;
  onClick: () => void;
  active?: boolean;
}) {
  return (
    <Tooltip label={t(label)}>
      <ActionIcon
        size={34}
        aria-label={t(label)}
        onClick={onClick}
        c={active ? "var(--v-blue-text)" : undefined}
      >
        <Icon name={icon} />
      </ActionIcon>
    </Tooltip>
  );
}

/** The clock; it writes itself so that playing renders nothing. A click opens the field to jump. */
function When({
  engine,
  zone,
  onSeek,
}: {
  engine: PlaybackEngine;
  zone: string | undefined;
  onSeek: (at: Micros) => void;
}) {
  const time = useRef<HTMLElement>(null);
  const date = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  useEffect(() => {
    const write = () => {
      if (time.current) time.current.textContent = preciseText(engine.at, zone);
      if (date.current) date.current.textContent = dateText(engine.at, zone);
    };
    write();
    return engine.onTime(write);
  }, [engine, zone]);
  const offset = (at: Micros) => zoneOffset(at, zone);
  return (
    <Popover opened={open} onChange={setOpen} position="top-start" trapFocus shadow="none">
      <Popover.Target>
        <button
          type="button"
          className={styles.when}
          aria-label={t("playback.jump")}
          onClick={() => {
            setText(toField(engine.at, offset(engine.at)));
            setOpen(!open);
          }}
        >
          <strong ref={time} data-clock />
          <span ref={date} />
        </button>
      </Popover.Target>
      <Popover.Dropdown>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const at = fromField(text, offset);
            if (at !== null) onSeek(at);
            setOpen(false);
          }}
        >
          <TextInput
            type="datetime-local"
            step={1}
            label={t("playback.jump")}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            rightSectionWidth={64}
            w={280}
            rightSection={
              <Button type="submit" size="compact-xs" variant="default">
                {t("playback.go")}
              </Button>
            }
          />
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
