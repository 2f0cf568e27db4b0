/** `?`: the keys of this page. */
import { Kbd, Modal } from "@mantine/core";
import { useRegisteredActions } from "../../actions";
import type { Session } from "../../data/api";
import { mayActAs } from "../../data/session";
import { hasKey, t } from "../../i18n";
import styles from "./keys.module.css";

const SYMBOLS: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  " ": "␣",
};

function keyText(key: string): string {
  // Two keys in a row.
  if (/^. .$/.test(key)) return key.toUpperCase();
  const shifted = key.startsWith("Shift+");
  const bare = shifted ? key.slice(6) : key;
  const name = SYMBOLS[bare] ?? (hasKey(`key.${bare}`) ? t(`key.${bare}` as "key.Escape") : bare);
  const text = name.length === 1 ? name.toUpperCase() : name;
  return shifted ? `${t("key.Shift")} ${text}` : text;
}

export function KeyCaps({ keys }: { keys: string[] }) {
  return (
    <span className={styles.caps}>
      {keys.map((key) => (
        <Kbd key={key} size="xs">
          {keyText(key)}
        </Kbd>
      ))}
    </span>
  );
}

export function Keys({ session, close }: { session: Session; close: () => void }) {
  const actions = useRegisteredActions().filter(
    (action) => action.keys && mayActAs(session, action.needs ?? "viewer"),
  );
  const groups = [...new Set(actions.map((action) => action.group))].reverse();
  return (
    <Modal opened onClose={close} title={t("action.keys")} size={640} transitionProps={{ duration: 0 }}>
      <div className={styles.groups}>
        {groups.map((group) => (
          <section key={group}>
            <h3>{t(group)}</h3>
            {actions
              .filter((action) => action.group === group)
              .map((action) => (
                <div key={action.id} className={styles.row}>
                  <span>{t(action.label)}</span>
                  <KeyCaps keys={action.keys ?? []} />
                </div>
              ))}
          </section>
        ))}
      </div>
    </Modal>
  );
}
