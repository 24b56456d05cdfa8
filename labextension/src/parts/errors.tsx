import { count } from "../format.js";

/** The errors of calls, by kind, the most frequent first. Folded. */
export function Errors({ errors }: { errors: { text: string; count: number }[] }) {
  if (errors.length === 0) return null;
  return (
    <details class="nba-errors">
      <summary>
        <span class="nba-error">{errors.length === 1 ? "1 kind of error" : `${errors.length} kinds of errors`}</span>,{" "}
        {count(errors.reduce((sum, error) => sum + error.count, 0))} in all
      </summary>
      {errors.map((error) => (
        <div key={error.text} class="nba-cut" title={error.text}>
          <b>{count(error.count)}</b> × <span class="nba-error">{error.text}</span>
        </div>
      ))}
    </details>
  );
}
