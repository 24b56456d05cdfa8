/** How much of something is used, as a bar with its text. */
export function Meter({ name, used, total, text }: { name: string; used: number; total: number; text: string }) {
  const share = total > 0 ? Math.min(1, used / total) : 0;
  return (
    <span class="nba-meter">
      {name}
      <span class="nba-bar" role="img" aria-label={`${name}: ${text}`}>
        <i style={{ width: `${share * 100}%` }} />
      </span>
      <span class="nba-time">{text}</span>
    </span>
  );
}
