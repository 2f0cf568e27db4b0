/** `/`: finds a command or a camera by typing. */
import { Modal } from "@mantine/core";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { useRegisteredActions } from "../../actions";
import type { Session } from "../../data/api";
import { useCameras } from "../../data/camera";
import { mayActAs } from "../../data/session";
import { t } from "../../i18n";
import { navigate } from "../../router";
import { Icon } from "../icon";
import { KeyCaps } from "./keys";
import styles from "./palette.module.css";

interface Entry {
  id: string;
  label: string;
  group: string;
  keys?: string[];
  run(): void;
}

const SHOWN_MAX = 60;

/** Every typed word must occur; earlier matches come first. */
export function matches(label: string, query: string): boolean {
  const text = label.toLocaleLowerCase();
  return query
    .toLocaleLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function Palette({ session, close }: { session: Session; close: () => void }) {
  const actions = useRegisteredActions();
  const cameras = useCameras();
  const [query, setQuery] = useState("");
  const [selected, setSelected] = useState(0);
  const list = useRef<HTMLDivElement>(null);

  const entries = useMemo(() => {
    const all: Entry[] = [
      ...actions
        .filter((action) => mayActAs(session, action.needs ?? "viewer") && action.id !== "palette")
        .map((action) => ({
          id: action.id,
          label: t(action.label),
          group: t(action.group),
          keys: action.keys,
          run: () => action.run(),
        })),
      ...(cameras.data ?? []).flatMap((camera) => [
        {
          id: `live-${camera.id}`,
          label: camera.name,
          group: t("palette.watch_live"),
          run: () => navigate(`/live?layout=1&cameras=${camera.id}`),
        },
        {
          id: `playback-${camera.id}`,
          label: camera.name,
          group: t("palette.play_back"),
          run: () => navigate(`/playback?cameras=${camera.id}`),
        },
      ]),
    ];
    return all.filter((entry) => matches(`${entry.label} ${entry.group}`, query)).slice(0, SHOWN_MAX);
  }, [actions, cameras.data, query, session]);

  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    close();
    // After the dialog has gone, so that focus and keys are the page's again.
    setTimeout(() => entry.run());
  };
  const move = (to: number) => {
    const index = (to + entries.length) % Math.max(1, entries.length);
    setSelected(index);
    list.current?.children[index]?.scrollIntoView({ block: "nearest" });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") move(selected + 1);
    else if (event.key === "ArrowUp") move(selected - 1);
    else if (event.key === "Enter") choose(entries[selected]);
    else return;
    event.preventDefault();
  };

  return (
    <Modal
      opened
      onClose={close}
      withCloseButton={false}
      padding={0}
      size={560}
      yOffset="12vh"
      centered={false}
      aria-label={t("action.palette")}
      transitionProps={{ duration: 0 }}
    >
      <div className={styles.search}>
        <Icon name="search" size={18} />
        <input
          // biome-ignore lint/a11y/noAutofocus: a palette is there to type into at once.
          autoFocus
          data-autofocus
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={entries[selected] ? `palette-${entries[selected].id}` : undefined}
          aria-label={t("palette.placeholder")}
          placeholder={t("palette.placeholder")}
          value={query}
          onChange={(event) => {
            setQuery(event.currentTarget.value);
            setSelected(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div className={`${styles.list} quiet-scroll`} role="listbox" id="palette-list" ref={list}>
        {entries.map((entry, index) => (
          <div
            key={entry.id}
            id={`palette-${entry.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === selected}
            className={styles.entry}
            onMouseMove={() => setSelected(index)}
            onClick={() => choose(entry)}
            onKeyDown={undefined}
          >
            <span className={styles.label}>{entry.label}</span>
            <span className={styles.group}>{entry.group}</span>
            {entry.keys && <KeyCaps keys={entry.keys.slice(0, 1)} />}
          </div>
        ))}
        {entries.length === 0 && <p className={styles.nothing}>{t("palette.nothing")}</p>}
      </div>
    </Modal>
  );
}
