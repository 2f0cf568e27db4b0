/** Administration: the tree on the left; each page has its table and, on the right, its form. */
import { type MouseEvent, useEffect } from "react";
import { Empty } from "../../components/empty";
import { Icon, type IconName } from "../../components/icon";
import { mayActAs, useSession } from "../../data/session";
import { type Key, t } from "../../i18n";
import { navigate, useLocation } from "../../router";
import styles from "./administration.module.css";
import { Cameras } from "./cameras";
import { StoragePage } from "./storage";
import { SystemPage } from "./system";
import { Tokens } from "./tokens";
import { Users } from "./users";

const PAGES: { path: string; label: Key; icon: IconName }[] = [
  { path: "cameras", label: "admin.cameras", icon: "camera" },
  { path: "storage", label: "admin.storage", icon: "storage" },
  { path: "users", label: "admin.users", icon: "users" },
  { path: "tokens", label: "admin.tokens", icon: "key" },
  { path: "system", label: "admin.system", icon: "pulse" },
];

export default function Administration() {
  const { path } = useLocation();
  const session = useSession();
  const asked = path.split("/")[2] ?? "";
  const page = PAGES.find((item) => item.path === asked);
  useEffect(() => {
    if (!page) navigate("/administration/cameras", { replace: true });
    else document.title = `${t(page.label)} · Varde`;
  }, [page]);

  if (!mayActAs(session.data, "administrator")) {
    return (
      <Empty icon="settings" title={t("admin.forbidden_title")}>
        {t("admin.forbidden_text")}
      </Empty>
    );
  }
  const follow = (event: MouseEvent, to: string) => {
    if (event.metaKey || event.ctrlKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <div className={styles.room}>
      <nav className={styles.tree} aria-label={t("room.administration")}>
        <h1>{t("room.administration")}</h1>
        {PAGES.map((item) => (
          <a
            key={item.path}
            href={`/administration/${item.path}`}
            aria-current={item === page ? "page" : undefined}
            onClick={(event) => follow(event, `/administration/${item.path}`)}
          >
            <Icon name={item.icon} size={18} />
            <span>{t(item.label)}</span>
          </a>
        ))}
      </nav>
      <div className={styles.page}>
        {page?.path === "cameras" && <Cameras />}
        {page?.path === "storage" && <StoragePage />}
        {page?.path === "users" && <Users />}
        {page?.path === "tokens" && <Tokens />}
        {page?.path === "system" && <SystemPage />}
      </div>
    </div>
  );
}
