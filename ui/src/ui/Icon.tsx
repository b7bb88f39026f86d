export function Icon({ name, class: extra = '' }: { name: string; class?: string }) {
  return (
    <svg class={`icon ${extra}`} aria-hidden="true">
      <use href={`${__SPRITE__}#${name}`} />
    </svg>
  );
}
