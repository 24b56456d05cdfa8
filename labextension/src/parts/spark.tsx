/** The most figures of a graph. Its width is that of all, so that nothing beside it moves while it fills. */
const MOST = 30;

/** A small graph of the latest figures, as an SVG of bars. */
export function Spark({ figures, top, label }: { figures: number[]; top: number; label: string }) {
  if (figures.length === 0) return null;
  const highest = Math.max(top, ...figures);
  const bars = figures.map((figure, index) => {
    const height = highest > 0 ? Math.max(1, (figure / highest) * 16) : 1;
    return <rect key={index} x={(MOST - figures.length + index) * 3} y={16 - height} width={2} height={height} />;
  });
  return (
    <svg class="nba-spark" width={MOST * 3} height={16} role="img" aria-label={label}>
      <title>{label}</title>
      {bars}
    </svg>
  );
}
