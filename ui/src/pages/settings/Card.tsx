import type { ComponentChildren } from 'preact';

export function Card({ id, title, action, children }: { id: string; title: string; action?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="card settings-card" aria-labelledby={id}>
      <header class="settings-head">
        <h2 id={id}>{title}</h2>
        {action}
      </header>
      {children}
    </section>
  );
}

export function Row({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="settings-row">
      <span class="settings-label">{label}</span>
      {children}
    </div>
  );
}
