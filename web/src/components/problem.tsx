/** What went wrong and what to do, in plain words. */
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { ApiError, OfflineError } from "../data/client";
import { hasKey, t, tCode } from "../i18n";
import { Icon } from "./icon";
import styles from "./problem.module.css";

export function problemText(error: unknown): string {
  if (error instanceof OfflineError) return t("problem.offline");
  if (error instanceof ApiError) {
    const { parameters = {}, code } = error.problem;
    const values = Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [
        name,
        typeof value === "number" ? value : String(value),
      ]),
    );
    if (error.retryAfter !== undefined) values.retry_after_seconds = error.retryAfter;
    return hasKey(`problem.${code}`) ? tCode("problem", code, values) : t("problem.other", { code });
  }
  return t("problem.other", { code: error instanceof Error ? error.name : "unknown" });
}

export function ProblemNotice({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className={styles.notice} role="alert">
      <Icon name="error" />
      <p>{problemText(error)}</p>
      {retry && (
        <Button variant="default" size="xs" onClick={retry}>
          {t("common.try_again")}
        </Button>
      )}
    </div>
  );
}

/** A line inside a form. */
export function ProblemLine({ children }: { children: React.ReactNode }) {
  if (!children) return null;
  return (
    <p className={styles.line} role="alert">
      <Icon name="warning" size={16} />
      <span>{children}</span>
    </p>
  );
}

export function toastProblem(error: unknown): void {
  notifications.show({ message: problemText(error), icon: <Icon name="error" size={16} />, color: "red" });
}

export function toast(message: string, undo?: () => void): void {
  const id = `toast-${Math.random().toString(36).slice(2)}`;
  notifications.show({
    id,
    message: (
      <span className={styles.toast}>
        <span>{message}</span>
        {undo && (
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => {
              notifications.hide(id);
              undo();
            }}
          >
            {t("common.undo")}
          </Button>
        )}
      </span>
    ),
    autoClose: undo ? 8_000 : 4_000,
    color: "gray",
  });
}
