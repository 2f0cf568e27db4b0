/** Numbers, sizes and times as people say them. */
import { DAY, HOUR, MINUTE, type Micros, SECOND } from "../data/time";
import { locale, t } from "./index";

const formats = new Map<string, Intl.DateTimeFormat>();

/** A cached formatter: making one costs more than a frame has. */
export function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale() + JSON.stringify(options);
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(locale(), options);
    formats.set(key, format);
  }
  return format;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;

export function clockText(at: Micros, timeZone?: string): string {
  return dateFormat({ ...CLOCK, timeZone }).format(at / 1000);
}

export function preciseText(at: Micros, timeZone?: string): string {
  return dateFormat({ ...CLOCK, fractionalSecondDigits: 3, timeZone }).format(at / 1000);
}

export function dateText(at: Micros, timeZone?: string): string {
  return dateFormat({ weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone }).format(
    at / 1000,
  );
}

export function dateTimeText(at: Micros, timeZone?: string): string {
  return dateFormat({ day: "numeric", month: "short", year: "numeric", ...CLOCK, timeZone }).format(
    at / 1000,
  );
}

/** "just now", "4 min ago", "today 14:02", else the date. */
export function sinceText(at: Micros, now: Micros): string {
  const age = now - at;
  if (age < 10 * SECOND) return t("time.just_now");
  if (age < MINUTE) return t("time.seconds_ago", { count: Math.floor(age / SECOND) });
  if (age < HOUR) return t("time.minutes_ago", { count: Math.floor(age / MINUTE) });
  if (age < DAY) return t("time.hours_ago", { count: Math.floor(age / HOUR) });
  return dateTimeText(at);
}

export function durationText(length: Micros): string {
  const seconds = Math.round(Math.abs(length) / SECOND);
  if (seconds < 60) return t("time.seconds", { count: seconds });
  if (seconds < 3600) {
    return seconds % 60 && seconds < 600
      ? t("time.minutes_seconds", { minutes: Math.floor(seconds / 60), seconds: seconds % 60 })
      : t("time.minutes", { count: Math.round(seconds / 60) });
  }
  if (seconds < 48 * 3600) {
    const minutes = Math.round((seconds % 3600) / 60);
    const hours = Math.floor(seconds / 3600);
    return minutes > 0 && minutes < 60
      ? t("time.hours_minutes", { hours, minutes })
      : t("time.hours", { count: hours + (minutes === 60 ? 1 : 0) });
  }
  return t("time.days", { count: Math.round(seconds / 86_400) });
}

export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  return `${new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value)} ${units[unit]}`;
}

export function bitrateText(bps: number): string {
  const number = (value: number) =>
    new Intl.NumberFormat(locale(), { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
  return bps >= 1_000_000 ? `${number(bps / 1_000_000)} Mbit/s` : `${number(bps / 1000)} kbit/s`;
}

export function daysText(days: number | null | undefined): string {
  if (days === null || days === undefined) return "–";
  if (days < 1) return durationText(days * DAY);
  const rounded = days < 10 ? Math.round(days * 10) / 10 : Math.round(days);
  return t("time.days", { count: rounded });
}

/** The offset of a zone from UTC at an instant. */
export function zoneOffset(at: Micros, timeZone: string | undefined): Micros {
  const millis = Math.floor(at / 1000);
  if (timeZone === "UTC") return 0;
  if (!timeZone) return -new Date(millis).getTimezoneOffset() * MINUTE;
  const key = `offset ${timeZone}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(key, format);
  }
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(millis)) parts[type] = Number(value);
  const wall = Date.UTC(
    parts.year ?? 1970,
    (parts.month ?? 1) - 1,
    parts.day,
    parts.hour,
    parts.minute,
    parts.second,
  );
  return (wall - Math.floor(millis / 1000) * 1000) * 1000;
}
