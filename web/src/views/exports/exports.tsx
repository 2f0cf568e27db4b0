/** Exports under way and done. */
import { ActionIcon, Button, Progress, Skeleton, Tooltip } from "@mantine/core";
import { useEffect } from "react";
import { Empty } from "../../components/empty";
import { Icon } from "../../components/icon";
import { ProblemNotice, toast, toastProblem } from "../../components/problem";
import type { Export } from "../../data/api";
import { useCameras } from "../../data/camera";
import { exportFile, useExportActions, useExports } from "../../data/export";
import { parseTime, serverClock } from "../../data/time";
import { t, tCode } from "../../i18n";
import { bytesText, dateTimeText, durationText, sinceText } from "../../i18n/format";
import { navigate } from "../../router";
import styles from "./exports.module.css";

export default function Exports() {
  const exports = useExports();
  const cameras = useCameras();
  useEffect(() => {
    document.title = `${t("room.exports")} · Varde`;
  }, []);
  const names = new Map(cameras.data?.map((camera) => [camera.id, camera.name]));
  const list = [...(exports.data ?? [])].sort((a, b) => b.created_at.localeCompare(a.created_at));

  return (
    <div className={styles.room}>
      <header className={styles.bar}>
        <h1>{t("room.exports")}</h1>
      </header>
      {exports.isError && !exports.data ? (
        <ProblemNotice error={exports.error} retry={() => void exports.refetch()} />
      ) : exports.isPending ? (
        <div className={styles.list}>
          {[0, 1, 2].map((index) => (
            <Skeleton key={index} height={64} />
          ))}
        </div>
      ) : list.length === 0 ? (
        <Empty
          icon="exports"
          title={t("export.empty_title")}
          action={
            <Button variant="default" onClick={() => navigate("/playback")}>
              {t("export.empty_action")}
            </Button>
          }
        >
          {t("export.empty_text")}
        </Empty>
      ) : (
        <ul className={`${styles.list} quiet-scroll`}>
          {list.map((item) => (
            <Row key={item.id} item={item} camera={names.get(item.camera) ?? t("camera.removed")} />
          ))}
        </ul>
      )}
    </div>
  );
}

function Row({ item, camera }: { item: Export; camera: string }) {
  const { remove } = useExportActions();
  const start = parseTime(item.start) ?? 0;
  const end = parseTime(item.end) ?? 0;
  const created = parseTime(item.created_at) ?? 0;
  const erase = async () => {
    try {
      await remove(item.id);
      toast(item.state === "running" ? t("export.cancelled") : t("export.removed"));
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <li className={styles.row} data-state={item.state}>
      <div className={styles.what}>
        <strong>{camera}</strong>
        <span>
          {dateTimeText(start)} · {durationText(end - start)}
        </span>
      </div>
      <div className={styles.state}>
        {item.state === "running" && (
          <>
            <Progress
              value={item.progress * 100}
              size="sm"
              aria-label={t("export.progress", { percent: Math.round(item.progress * 100) })}
            />
            <span>{t("export.progress", { percent: Math.round(item.progress * 100) })}</span>
          </>
        )}
        {item.state === "done" && (
          <span title={item.file_name ?? undefined}>
            {bytesText(item.bytes ?? 0)} · {sinceText(created, serverClock.now())}
          </span>
        )}
        {item.state === "failed" && (
          <span className={styles.failed}>
            <Icon name="error" size={16} />
            {item.error ? tCode("problem", item.error) : t("export.failed")}
          </span>
        )}
      </div>
      <div className={styles.tools}>
        {item.state === "done" && (
          <Button
            component="a"
            size="xs"
            variant="default"
            href={exportFile(item.id)}
            download={item.file_name || true}
            leftSection={<Icon name="exports" size={16} />}
          >
            {t("export.download")}
          </Button>
        )}
        <Tooltip label={item.state === "running" ? t("export.cancel") : t("export.remove")}>
          <ActionIcon
            aria-label={item.state === "running" ? t("export.cancel") : t("export.remove")}
            onClick={() => void erase()}
          >
            <Icon name={item.state === "running" ? "close" : "trash"} size={18} />
          </ActionIcon>
        </Tooltip>
      </div>
    </li>
  );
}
