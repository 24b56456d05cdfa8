import { Button } from "./button.js";
import { t } from "../words.js";

/** A text that the user has asked for, such as a stack. */
export interface Shown {
  title: string;
  text: string;
}

export function Detail({ shown, onClose }: { shown: Shown; onClose: () => void }) {
  return (
    <div class="nba-detail" role="region" aria-label={shown.title}>
      <div class="nba-detail-head">
        <b>{shown.title}</b>
        <span class="nba-space" />
        <Button
          label={t("Close")}
          onClick={() => {
            onClose();
            return undefined;
          }}
        >
          ✕
        </Button>
      </div>
      {/* The text scrolls, so the keyboard must reach it. */}
      <pre tabIndex={0}>{shown.text}</pre>
    </div>
  );
}
