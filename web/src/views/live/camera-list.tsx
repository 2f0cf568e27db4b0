/** The cameras beside the wall: drag one onto a tile, or press Enter. */
import { ActionIcon, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { CameraDot } from "../../components/camera-state";
import { Icon } from "../../components/icon";
import type { Camera, Id } from "../../data/api";
import { t } from "../../i18n";
import styles from "./camera-list.module.css";
import { DRAG } from "./live";

const SHOWN_MAX = 200;

export function CameraList({
  cameras,
  shown,
  onChoose,
  onClose,
}: {
  cameras: Camera[];
  shown: (Id | null)[];
  onChoose: (camera: Camera) => void;
  onClose: () => void;
}) {
  const [filter, setFilter] = useState("");
  const list = useMemo(
    () => cameras.filter((camera) => camera.name.toLocaleLowerCase().includes(filter.toLocaleLowerCase())),
    [cameras, filter],
  );
  return (
    <aside className={styles.panel} aria-label={t("live.cameras")}>
      <header>
        <h2>{t("live.cameras")}</h2>
        <ActionIcon aria-label={t("common.close")} onClick={onClose}>
          <Icon name="close" size={18} />
        </ActionIcon>
      </header>
      <TextInput
        aria-label={t("common.filter")}
        placeholder={t("common.filter")}
        leftSection={<Icon name="search" size={16} />}
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
      />
      <ul className="quiet-scroll">
        {list.slice(0, SHOWN_MAX).map((camera) => (
          <li key={camera.id}>
            <button
              type="button"
              draggable
              data-shown={shown.includes(camera.id) || undefined}
              onDragStart={(event) => {
                event.dataTransfer.setData(DRAG, camera.id);
                event.dataTransfer.effectAllowed = "copyMove";
              }}
              onClick={() => onChoose(camera)}
            >
              <CameraDot state={camera.state} />
              <span>{camera.name}</span>
              {shown.includes(camera.id) && <Icon name="check" size={14} />}
            </button>
          </li>
        ))}
      </ul>
      <p>{t("live.drag_help")}</p>
    </aside>
  );
}
