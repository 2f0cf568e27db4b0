/** The one switch for the time zone: mine or UTC. */
import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { t } from "../../i18n";

export type ZoneChoice = "mine" | "utc";

const CHOICES: ZoneChoice[] = ["mine", "utc"];
const STORE = "varde.zone";

export interface Zone {
  choice: ZoneChoice;
  /** For `Intl`; nothing is the browser's own. */
  timeZone: string | undefined;
  set(choice: ZoneChoice): void;
}

export function useZone(): Zone {
  const [stored, setStored] = useState(() => localStorage.getItem(STORE) as ZoneChoice | null);
  const choice = stored === "utc" ? "utc" : "mine";
  return {
    choice,
    timeZone: choice === "utc" ? "UTC" : undefined,
    set: (next) => {
      localStorage.setItem(STORE, next);
      setStored(next);
    },
  };
}

export function ZoneSwitch({ zone }: { zone: Zone }) {
  return (
    <SegmentedControl
      aria-label={t("zone.label")}
      value={zone.choice}
      onChange={(value) => zone.set(value as ZoneChoice)}
      data={CHOICES.map((value) => ({ value, label: t(`zone.${value}`) }))}
    />
  );
}

/** An instant as the value of a `datetime-local` field in a zone. */
export function toField(at: number, offset: number): string {
  return new Date((at + offset) / 1000).toISOString().slice(0, 19);
}

/** Reads such a field; the offset is taken at the resulting instant, so that summer time is right. */
export function fromField(text: string, offset: (at: number) => number): number | null {
  const wall = Date.parse(`${text}Z`) * 1000;
  if (Number.isNaN(wall)) return null;
  const first = wall - offset(wall);
  return wall - offset(first);
}
