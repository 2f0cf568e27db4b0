/** Where recordings lie, how long they last, and who uses how much. */
import { NumberInput, Skeleton } from "@mantine/core";
import { useEffect, useState } from "react";
import { Empty } from "../../components/empty";
import { ProblemNotice, toast, toastProblem } from "../../components/problem";
import type { Storage } from "../../data/api";
import { useCameras } from "../../data/camera";
import { useStorageActions, useStorages } from "../../data/storage";
import { parseTime, serverClock } from "../../data/time";
import { t, tCode } from "../../i18n";
import { bytesText, dateTimeText, daysText, sinceText } from "../../i18n/format";
import styles from "./administration.module.css";
import { foldSound } from "./usage";

export function StoragePage() {
  const storages = useStorages();
  return (
    <div className={styles.middle}>
      <header className={styles.bar}>
        <h2>{t("admin.storage")}</h2>
      </header>
      {storages.isError && !storages.data ? (
        <ProblemNotice error={storages.error} retry={() => void storages.refetch()} />
      ) : storages.isPending ? (
        <div className={styles.storages}>
          <Skeleton height={220} />
        </div>
      ) : storages.data.length === 0 ? (
        <Empty icon="storage" title={t("storage.empty_title")}>
          {t("storage.empty_text")}
        </Empty>
      ) : (
        <div className={`${styles.storages} ${styles.scroll} quiet-scroll`}>
          {storages.data.map((storage) => (
            <Card key={storage.id} storage={storage} />
          ))}
        </div>
      )}
    </div>
  );
}

function Card({ storage }: { storage: Storage }) {
  const capacity = Math.max(1, storage.capacity_bytes);
  const other = Math.max(0, capacity - storage.used_bytes - storage.free_bytes);
  const percent = (bytes: number) => `${(bytes / capacity) * 100}%`;
  const oldest = parseTime(storage.oldest);
  const list = useCameras();
  const cameras = foldSound(storage.cameras, list.data ?? []).sort((a, b) => b.used_bytes - a.used_bytes);
  return (
    <section className={styles.storage} aria-label={storage.name}>
      <div className={styles.storageHead}>
        <h3>{storage.name}</h3>
        <span className={styles.badge} data-bad={storage.state !== "online" || undefined}>
          {tCode("storage_state", storage.state)}
        </span>
        {storage.encrypted && <span className={styles.badge}>{t("storage.encrypted")}</span>}
        <code>{storage.path}</code>
      </div>
      <div
        className={styles.usage}
        role="img"
        aria-label={t("storage.usage", {
          used: bytesText(storage.used_bytes),
          free: bytesText(storage.free_bytes),
        })}
      >
        <span style={{ width: percent(storage.used_bytes) }} />
        <span data-other style={{ width: percent(other) }} />
      </div>
      <div className={`${styles.legend} tabular`}>
        <span>
          <i />
          {t("storage.used", { size: bytesText(storage.used_bytes) })}
        </span>
        <span>
          <i data-other />
          {t("storage.other", { size: bytesText(other) })}
        </span>
        <span>
          <i data-free />
          {t("storage.free", { size: bytesText(storage.free_bytes) })}
        </span>
      </div>
      <div className={`${styles.figures} tabular`}>
        <div>
          <strong>{daysText(storage.days_kept)}</strong>
          <span title={oldest === null ? undefined : dateTimeText(oldest)}>{t("storage.days_kept")}</span>
        </div>
        <div>
          <strong>{daysText(storage.days_left)}</strong>
          <span>{t("storage.days_left")}</span>
        </div>
        <div>
          <strong>{storage.bytes_per_day ? bytesText(storage.bytes_per_day) : "–"}</strong>
          <span>{t("storage.per_day")}</span>
        </div>
        <div>
          <Retention storage={storage} />
        </div>
      </div>
      <div className={styles.wide}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th>{t("storage.camera")}</th>
              <th className={styles.number}>{t("storage.camera_used")}</th>
              <th className={styles.number}>{t("storage.per_day")}</th>
              <th>{t("storage.oldest")}</th>
              <th>{t("storage.newest")}</th>
            </tr>
          </thead>
          <tbody>
            {cameras.map((camera) => {
              const first = parseTime(camera.oldest);
              const last = parseTime(camera.newest);
              return (
                <tr key={camera.camera}>
                  <td>{camera.name}</td>
                  <td className={styles.number}>{bytesText(camera.used_bytes)}</td>
                  <td className={styles.number}>
                    {camera.bytes_per_day ? bytesText(camera.bytes_per_day) : "–"}
                  </td>
                  <td className={styles.dim} title={first === null ? undefined : dateTimeText(first)}>
                    {first === null ? "–" : sinceText(first, serverClock.now())}
                  </td>
                  <td className={styles.dim} title={last === null ? undefined : dateTimeText(last)}>
                    {last === null ? "–" : sinceText(last, serverClock.now())}
                  </td>
                </tr>
              );
            })}
            {cameras.length === 0 && (
              <tr>
                <td colSpan={5} className={styles.dim}>
                  {t("storage.no_cameras")}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Retention({ storage }: { storage: Storage }) {
  const { update } = useStorageActions();
  const [days, setDays] = useState<number | string>(storage.retention_days ?? "");
  useEffect(() => setDays(storage.retention_days ?? ""), [storage.retention_days]);
  const save = async () => {
    const next = typeof days === "number" ? days : null;
    const before = storage.retention_days ?? null;
    if (next === before) return;
    try {
      const saved = await update(storage.id, { version: storage.version, retention_days: next });
      toast(t("camera.saved", { field: t("storage.retention") }), () => {
        update(storage.id, { version: saved.version, retention_days: before }).catch(toastProblem);
      });
    } catch (error) {
      setDays(before ?? "");
      toastProblem(error);
    }
  };
  return (
    <NumberInput
      size="xs"
      label={t("storage.retention")}
      placeholder={t("storage.retention_none")}
      min={1}
      max={3650}
      value={days}
      onChange={setDays}
      onBlur={() => void save()}
      onKeyDown={(event) => event.key === "Enter" && void save()}
    />
  );
}
