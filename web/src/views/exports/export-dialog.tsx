/** Exports a range of one or more cameras as MP4. */
import { Button, Checkbox, Modal, Radio, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { ProblemLine, problemText, toast } from "../../components/problem";
import type { Span } from "../../components/timeline/scale";
import type { Id } from "../../data/api";
import { useCameras } from "../../data/camera";
import { useExportActions } from "../../data/export";
import { formatTime, serverClock } from "../../data/time";
import { t } from "../../i18n";
import { durationText, zoneOffset } from "../../i18n/format";
import { navigate } from "../../router";
import { fromField, toField } from "../playback/zone";
import styles from "./exports.module.css";

export function ExportDialog({
  cameras,
  range,
  zone,
  close,
}: {
  cameras: Id[];
  range: Span;
  zone: string | undefined;
  close: () => void;
}) {
  const list = useCameras();
  const { create } = useExportActions();
  const offset = (at: number) => zoneOffset(at, zone);
  const latest = Math.min(range.end, serverClock.now());
  const [start, setStart] = useState(toField(range.start, offset(range.start)));
  const [end, setEnd] = useState(toField(latest, offset(latest)));
  const [chosen, setChosen] = useState<Id[]>(cameras);
  const [head, setHead] = useState<"keyframe" | "exact">("keyframe");
  const [audio, setAudio] = useState(true);
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // A field keeps whole seconds; what was not touched keeps the exact instant of the selection.
  const exact = (text: string, at: number) =>
    text === toField(at, offset(at)) ? at : fromField(text, offset);
  const from = exact(start, range.start);
  const to = exact(end, latest);
  const valid = from !== null && to !== null && to > from && chosen.length > 0;
  const nameOf = (id: Id) => list.data?.find((camera) => camera.id === id)?.name ?? id;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!valid) return;
    setBusy(true);
    setProblem(null);
    try {
      for (const camera of chosen) {
        await create({
          camera,
          start: formatTime(from),
          end: formatTime(to),
          head,
          audio,
          name: name.trim() ? name.trim() : undefined,
        });
      }
      close();
      navigate("/exports");
      toast(t("export.started", { count: chosen.length }));
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Modal opened onClose={close} title={t("export.title")} size={540} transitionProps={{ duration: 0 }}>
      <form className={styles.form} onSubmit={submit}>
        <div className={styles.pair}>
          <TextInput
            type="datetime-local"
            step={1}
            label={t("export.start")}
            value={start}
            onChange={(event) => setStart(event.currentTarget.value)}
          />
          <TextInput
            type="datetime-local"
            step={1}
            label={t("export.end")}
            value={end}
            onChange={(event) => setEnd(event.currentTarget.value)}
            error={from !== null && to !== null && to <= from ? t("export.end_before_start") : undefined}
          />
        </div>
        <p className={styles.hint}>
          {valid ? t("export.length", { duration: durationText(to - from) }) : " "}
        </p>
        {cameras.length > 1 && (
          <Checkbox.Group label={t("export.cameras")} value={chosen} onChange={setChosen}>
            <div className={styles.cameras}>
              {cameras.map((id) => (
                <Checkbox key={id} value={id} label={nameOf(id)} size="xs" />
              ))}
            </div>
          </Checkbox.Group>
        )}
        <Radio.Group
          label={t("export.head")}
          value={head}
          onChange={(value) => setHead(value as typeof head)}
        >
          <div className={styles.cameras}>
            <Radio
              size="xs"
              value="keyframe"
              label={t("export.head_keyframe")}
              description={t("export.head_keyframe_help")}
            />
            <Radio
              size="xs"
              value="exact"
              label={t("export.head_exact")}
              description={t("export.head_exact_help")}
            />
          </div>
        </Radio.Group>
        <Checkbox
          size="xs"
          label={t("export.audio")}
          checked={audio}
          onChange={(event) => setAudio(event.currentTarget.checked)}
        />
        <TextInput
          label={t("export.name")}
          placeholder={t("export.name_placeholder")}
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <ProblemLine>{problem}</ProblemLine>
        <div className={styles.buttons}>
          <Button variant="default" onClick={close}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" loading={busy} disabled={!valid} data-autofocus>
            {t("export.submit")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
