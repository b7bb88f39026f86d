import { useMemo } from 'preact/hooks';
import { qrMatrix } from '../lib/qr.ts';

const QUIET = 4;

/** Drawn in the page: what it says goes to nobody. Always dark on light, as readers expect. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => {
    const matrix = qrMatrix(text);
    let d = '';
    matrix.forEach((row, y) => row.forEach((dark, x) => (d += dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : '')));
    return { size: matrix.length + 2 * QUIET, path: d };
  }, [text]);
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={size} />
      <path d={path} />
    </svg>
  );
}
