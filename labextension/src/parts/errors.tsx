import { count } from "../format.js";
import { t } from "../words.js";

/** The errors of calls, by kind, the most frequent first. Folded. */
export function Errors({ errors }: { errors: { text: string; count: number }[] }) {
  if (errors.length === 0) return null;
  return (
    <details class="nba-errors">
      <summary>
        <span class="nba-error">{errors.length === 1 ? t("1 kind of error") : t("%1 kinds of errors", errors.length)}</span>,{" "}
        {t("%1 in all", count(errors.reduce((sum, error) => sum + error.count, 0)))}
      </summary>
      {errors.map((error) => (
        <div key={error.text} class="nba-cut" title={error.text}>
          <b>{count(error.count)}</b> × <span class="nba-error">{error.text}</span>
        </div>
      ))}
    </details>
  );
}
