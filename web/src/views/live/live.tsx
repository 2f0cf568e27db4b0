/** The live wall. */
import { ActionIcon, Button, Menu, SegmentedControl, TextInput, Tooltip } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type CSSProperties, type DragEvent, useEffect, useMemo, useState } from "react";
import { useActions } from "../../actions";
import { Empty } from "../../components/empty";
import { Icon, type IconName } from "../../components/icon";
import { ProblemNotice, toast } from "../../components/problem";
import type { Camera, Id } from "../../data/api";
import { useCameras } from "../../data/camera";
import { mayActAs, useSession } from "../../data/session";
import { type Key, t } from "../../i18n";
import { navigate, setSearch, useLocation } from "../../router";
import { CameraList } from "./camera-list";
import styles from "./live.module.css";
import { removeView, restoreViews, saveView, useSavedViews } from "./saved";
import { EmptyTile, LiveTile } from "./tile";
import { fitGrid, type Layout, place, readWall, remove, type Wall, writeWall } from "./wall";

export const DRAG = "application/x-varde-camera";

const LAYOUT_ICONS: Record<Layout, IconName> = {
  auto: "gridAuto",
  "1": "grid1",
  "4": "grid4",
  "9": "grid9",
  "16": "grid16",
};

export default function Live() {
  const { search } = useLocation();
  const cameras = useCameras();
  const session = useSession();
  const [panel, setPanel] = useState(false);
  const [selected, setSelected] = useState<number | null>(null);
  const { ref, width, height } = useElementSize();

  useEffect(() => {
    document.title = `${t("room.live")} · Varde`;
  }, []);

  const byId = useMemo(() => new Map(cameras.data?.map((camera) => [camera.id, camera])), [cameras.data]);
  const wall = useMemo(() => readWall(search, [...byId.keys()]), [search, byId]);
  const change = (next: Wall) => setSearch(writeWall(next));
  const setLayout = (layout: Layout) => {
    // A wall that nobody arranged follows the list of cameras in every layout.
    const arranged = search.has("cameras");
    setSearch({
      layout: layout === "auto" ? null : layout,
      cameras: arranged ? search.get("cameras") : null,
      big: null,
    });
  };
  const enlarge = (id: Id | null) => setSearch({ big: wall.big === id ? null : id });
  const focusTile = (index: number) => {
    setSelected(index);
    document.querySelector<HTMLElement>(`[data-tile="${index}"]`)?.focus();
  };

  useActions([
    ...Array.from({ length: 9 }, (_, index) => ({
      id: `tile-${index + 1}`,
      label: `action.tile_${index + 1}` as Key,
      keys: [String(index + 1)],
      group: "group.live" as Key,
      run: () => {
        const id = wall.tiles[index];
        focusTile(index);
        if (id) enlarge(id);
      },
    })),
    {
      id: "wall",
      label: "action.wall",
      keys: ["0", "Escape"],
      group: "group.live",
      run: () => setSearch({ big: null }),
    },
    {
      id: "camera-list",
      label: "action.camera_list",
      keys: ["c"],
      group: "group.live",
      run: () => setPanel(!panel),
    },
    {
      id: "wall-fullscreen",
      label: "action.fullscreen",
      keys: ["f"],
      group: "group.live",
      run: () => toggleFullscreen(document.querySelector("[data-wall]")),
    },
  ]);

  if (cameras.isError && !cameras.data) {
    return <ProblemNotice error={cameras.error} retry={() => void cameras.refetch()} />;
  }
  const none = cameras.data?.length === 0;
  const mayAdd = mayActAs(session.data, "administrator");
  const order = wall.big
    ? [wall.big, ...wall.tiles.filter((id) => id !== wall.big && id !== null)]
    : wall.tiles;
  const grid = fitGrid(Math.max(1, wall.tiles.length), width || 1, height || 1, wall.layout);
  const strip = wall.big !== null && order.length > 1;
  const wide = width > height;
  const style = {
    "--columns": grid.columns,
    "--rows": grid.rows,
    "--strip": Math.max(1, order.length - 1),
  } as CSSProperties;

  const onDrop = (event: DragEvent, index: number) => {
    const id = event.dataTransfer.getData(DRAG);
    if (!id) return;
    event.preventDefault();
    change(place(wall, id, index));
  };

  return (
    <div className={styles.room}>
      <div className={styles.main}>
        <header className={styles.bar}>
          <h1>{t("room.live")}</h1>
          <SegmentedControl
            aria-label={t("live.layout")}
            value={wall.layout}
            onChange={(value) => setLayout(value as Layout)}
            data={(Object.keys(LAYOUT_ICONS) as Layout[])
              .sort((a, b) => (a === "auto" ? -1 : b === "auto" ? 1 : Number(a) - Number(b)))
              .map((value) => ({
                value,
                label: (
                  <span className={styles.layout} title={t(`live.layout_${value}`)}>
                    <Icon name={LAYOUT_ICONS[value]} size={18} />
                    <span className="visually-hidden">{t(`live.layout_${value}`)}</span>
                  </span>
                ),
              }))}
          />
          <ViewsMenu />
          <span className={styles.space} />
          <Tooltip label={t("action.camera_list")}>
            <ActionIcon
              aria-label={t("action.camera_list")}
              aria-pressed={panel}
              onClick={() => setPanel(!panel)}
              data-active={panel || undefined}
            >
              <Icon name="panel" />
            </ActionIcon>
          </Tooltip>
        </header>
        <div
          ref={ref}
          data-wall
          className={`${styles.wall} quiet-scroll`}
          data-big={strip || undefined}
          data-wide={wide || undefined}
          data-scrolls={(grid.scrolls && !strip) || undefined}
          style={style}
        >
          {none ? (
            <Empty
              icon="camera"
              title={t("live.empty_title")}
              action={
                mayAdd && (
                  <Button
                    leftSection={<Icon name="plus" size={16} />}
                    onClick={() => navigate("/administration/cameras?camera=new")}
                  >
                    {t("camera.add")}
                  </Button>
                )
              }
            >
              {mayAdd ? t("live.empty_text") : t("live.empty_text_viewer")}
            </Empty>
          ) : (
            order.map((id, position) => {
              const camera = id ? byId.get(id) : undefined;
              const index = id ? wall.tiles.indexOf(id) : position;
              return camera ? (
                <LiveTile
                  key={camera.id}
                  camera={camera}
                  index={index}
                  big={camera.id === wall.big}
                  selected={selected === index}
                  onSelect={() => setSelected(index)}
                  onEnlarge={() => enlarge(camera.id)}
                  onRemove={() => change(remove(wall, camera.id))}
                  onDrop={(event) => onDrop(event, index)}
                />
              ) : (
                <EmptyTile
                  key={`empty-${index}`}
                  index={index}
                  cameras={cameras.data?.filter((item) => !wall.tiles.includes(item.id)) ?? []}
                  loading={cameras.isPending}
                  onDrop={(event) => onDrop(event, index)}
                  onChoose={(chosen) => change(place(wall, chosen, index))}
                />
              );
            })
          )}
        </div>
      </div>
      {panel && (
        <CameraList
          cameras={cameras.data ?? []}
          shown={wall.tiles}
          onClose={() => setPanel(false)}
          onChoose={(camera: Camera) => {
            const free = wall.tiles.indexOf(null);
            const target = selected ?? (free >= 0 ? free : wall.tiles.length);
            change(
              place(wall, camera.id, wall.layout === "auto" ? Math.min(target, wall.tiles.length) : target),
            );
          }}
        />
      )}
    </div>
  );
}

function toggleFullscreen(element: Element | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void element?.requestFullscreen().catch(() => undefined);
}

function ViewsMenu() {
  const views = useSavedViews();
  const [name, setName] = useState("");
  const save = () => {
    if (!name.trim()) return;
    saveView({ name: name.trim(), search: window.location.search });
    toast(t("live.view_saved", { name: name.trim() }));
    setName("");
  };
  return (
    <Menu width={260} closeOnItemClick position="bottom-start">
      <Menu.Target>
        <Button variant="subtle" size="xs" leftSection={<Icon name="bookmark" size={16} />}>
          {t("live.views")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {views.length === 0 && <p className={styles.teach}>{t("live.views_empty")}</p>}
        {views.map((view) => (
          <div key={view.name} className={styles.view}>
            <Menu.Item onClick={() => navigate(`/live${view.search}`)}>{view.name}</Menu.Item>
            <ActionIcon
              size={28}
              aria-label={t("live.view_remove", { name: view.name })}
              onClick={() => {
                const before = removeView(view.name);
                toast(t("live.view_removed", { name: view.name }), () => restoreViews(before));
              }}
            >
              <Icon name="close" size={14} />
            </ActionIcon>
          </div>
        ))}
        <Menu.Divider />
        <form
          className={styles.save}
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <TextInput
            size="xs"
            aria-label={t("live.view_name")}
            placeholder={t("live.view_name")}
            value={name}
            maxLength={60}
            onChange={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => event.stopPropagation()}
          />
          <Button type="submit" size="xs" variant="default" disabled={!name.trim()}>
            {t("common.save")}
          </Button>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}
