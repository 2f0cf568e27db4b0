/** All cameras: filter, state, and the form on the right. */
import { Button, Skeleton, TextInput } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import { useActions } from "../../actions";
import { CameraDot, stateText } from "../../components/camera-state";
import { Empty } from "../../components/empty";
import { Icon } from "../../components/icon";
import { ProblemNotice } from "../../components/problem";
import type { Camera } from "../../data/api";
import { useCameras } from "../../data/camera";
import { t } from "../../i18n";
import { bitrateText } from "../../i18n/format";
import { setSearch, useLocation } from "../../router";
import styles from "./administration.module.css";
import { CameraAdd } from "./camera-add";
import { CameraEdit } from "./camera-edit";

const ROW_PX = 48;

export function Cameras() {
  const { search } = useLocation();
  const cameras = useCameras();
  const filterField = useRef<HTMLInputElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const filter = search.get("q") ?? "";
  const open = search.get("camera");
  const setOpen = (id: string | null) => setSearch({ camera: id }, { replace: false });

  const list = useMemo(() => {
    const words = filter.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return (cameras.data ?? []).filter((camera) => {
      const text = `${camera.name} ${camera.url ?? ""} ${stateText(camera.state)}`.toLocaleLowerCase();
      return words.every((word) => text.includes(word));
    });
  }, [cameras.data, filter]);

  const rows = useVirtualizer({
    count: list.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });

  useActions([
    {
      id: "camera-add",
      label: "camera.add",
      keys: ["a"],
      group: "group.page",
      needs: "administrator",
      run: () => setOpen("new"),
    },
    {
      id: "camera-filter",
      label: "common.filter",
      keys: ["f"],
      group: "group.page",
      run: () => filterField.current?.focus(),
    },
    {
      id: "panel-close",
      label: "common.close",
      keys: ["Escape"],
      group: "group.page",
      run: () => setOpen(null),
    },
  ]);

  const chosen = cameras.data?.find((camera) => camera.id === open);
  const empty = cameras.data?.length === 0;
  return (
    <>
      <div className={styles.middle}>
        <header className={styles.bar}>
          <h2>{t("admin.cameras")}</h2>
          {!empty && (
            <TextInput
              ref={filterField}
              className={styles.filter}
              size="xs"
              aria-label={t("common.filter")}
              placeholder={t("common.filter")}
              leftSection={<Icon name="search" size={16} />}
              value={filter}
              onChange={(event) => setSearch({ q: event.currentTarget.value })}
            />
          )}
          <span className={styles.dim}>
            {cameras.data && !empty ? t("camera.count", { count: list.length }) : null}
          </span>
          <span className={styles.grow} />
          <Button size="xs" leftSection={<Icon name="plus" size={16} />} onClick={() => setOpen("new")}>
            {t("camera.add")}
          </Button>
        </header>
        {cameras.isError && !cameras.data ? (
          <ProblemNotice error={cameras.error} retry={() => void cameras.refetch()} />
        ) : empty ? (
          <Empty
            icon="camera"
            title={t("camera.empty_title")}
            action={<Button onClick={() => setOpen("new")}>{t("camera.add")}</Button>}
          >
            {t("camera.empty_text")}
          </Empty>
        ) : (
          <>
            <div className={styles.head} aria-hidden="true">
              <span>{t("camera.name")}</span>
              <span>{t("camera.state")}</span>
              <span>{t("camera.address")}</span>
              <span>{t("camera.picture")}</span>
              <span>{t("camera.bitrate")}</span>
            </div>
            <div ref={scroll} className={`${styles.scroll} quiet-scroll`}>
              {cameras.isPending ? (
                <div style={{ padding: 16, display: "grid", gap: 12 }}>
                  {[0, 1, 2, 3].map((index) => (
                    <Skeleton key={index} height={28} />
                  ))}
                </div>
              ) : (
                <div
                  className={styles.grid}
                  style={{ height: rows.getTotalSize() }}
                  role="listbox"
                  aria-label={t("admin.cameras")}
                >
                  {rows.getVirtualItems().map((item) => {
                    const camera = list[item.index];
                    return camera ? (
                      <Row
                        key={camera.id}
                        camera={camera}
                        top={item.start}
                        open={camera.id === open}
                        onOpen={() => setOpen(camera.id)}
                      />
                    ) : null;
                  })}
                </div>
              )}
              {cameras.data && list.length === 0 && (
                <p className={styles.plain} style={{ padding: 16 }}>
                  {t("common.no_match")}
                </p>
              )}
            </div>
          </>
        )}
      </div>
      {open === "new" && <CameraAdd close={(id) => setOpen(id ?? null)} />}
      {chosen && <CameraEdit key={chosen.id} camera={chosen} close={() => setOpen(null)} />}
    </>
  );
}

function host(url: string | undefined): string {
  if (!url) return "–";
  return /^[a-z]+:\/\/([^/]+)/.exec(url)?.[1] ?? url;
}

function Row({
  camera,
  top,
  open,
  onOpen,
}: {
  camera: Camera;
  top: number;
  open: boolean;
  onOpen: () => void;
}) {
  const main = camera.streams.find((stream) => stream.roles.includes("record")) ?? camera.streams[0];
  const bitrate = camera.streams.reduce((sum, stream) => sum + (stream.bitrate_bps ?? 0), 0);
  return (
    <button
      type="button"
      role="option"
      aria-selected={open}
      className={styles.row}
      style={{ transform: `translateY(${top}px)` }}
      onClick={onOpen}
    >
      <strong style={{ fontWeight: 500 }}>{camera.name}</strong>
      <span className={styles.stateCell}>
        <CameraDot state={camera.state} />
        <span>
          {camera.state === "online" && camera.recording
            ? t("camera.recording")
            : stateText(camera.state, camera.parameters)}
        </span>
      </span>
      <span className={styles.dim}>{host(camera.url ?? undefined)}</span>
      <span className={styles.dim}>{main?.height ? `${main.width}×${main.height}` : "–"}</span>
      <span className={styles.dim}>{bitrate > 0 ? bitrateText(bitrate) : "–"}</span>
    </button>
  );
}
