/** The quiet frame around set-up and sign-in. */
import { SegmentedControl } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { Logo } from "../../components/icon";
import { LANGUAGES, type Language, setLanguage, t, useLanguage } from "../../i18n";
import styles from "./frame.module.css";

export function Frame({ title, children }: { title: string; children: ReactNode }) {
  const language = useLanguage();
  useEffect(() => {
    document.title = `${title} · Varde`;
  }, [title]);
  return (
    <main className={styles.page}>
      <div className={styles.card}>
        <div className={styles.brand}>
          <Logo size={40} />
          <span>Varde</span>
        </div>
        <h1>{title}</h1>
        {children}
      </div>
      <footer className={styles.footer}>
        <SegmentedControl
          aria-label={t("common.language")}
          value={language}
          onChange={(value) => void setLanguage(value as Language)}
          data={Object.entries(LANGUAGES).map(([value, { name }]) => ({ value, label: name }))}
        />
      </footer>
    </main>
  );
}

/** While the server has not answered yet; silent at first so that a quick answer shows nothing. */
export function Waiting({ failed }: { failed: boolean }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 800);
    return () => clearTimeout(timer);
  }, []);
  return (
    <main className={styles.page} aria-busy="true">
      {(late || failed) && (
        <div className={styles.waiting} role="status">
          <Logo size={40} />
          <p>{failed ? t("connection.waiting") : t("common.loading")}</p>
        </div>
      )}
    </main>
  );
}
