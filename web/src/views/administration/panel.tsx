import { ActionIcon } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { Icon } from "../../components/icon";
import { t } from "../../i18n";
import styles from "./administration.module.css";

/** The right-hand panel for details. Escape inside its fields closes it, too. */
export function Panel({
  title,
  close,
  children,
  footer,
  onSubmit,
}: {
  title: string;
  close: () => void;
  children: ReactNode;
  footer?: ReactNode;
  onSubmit?: () => void;
}) {
  const root = useRef<HTMLElement>(null);
  useEffect(() => {
    root.current?.querySelector<HTMLElement>("[data-first]")?.focus();
  }, []);
  return (
    <aside
      ref={root}
      className={styles.panel}
      aria-label={title}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !event.defaultPrevented) close();
      }}
    >
      <header>
        <h2>{title}</h2>
        <ActionIcon aria-label={t("common.close")} onClick={close}>
          <Icon name="close" size={18} />
        </ActionIcon>
      </header>
      <form
        style={{ display: "contents" }}
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.();
        }}
      >
        <div className={`${styles.body} quiet-scroll`}>{children}</div>
        {footer && <div className={styles.footer}>{footer}</div>}
      </form>
    </aside>
  );
}
