import type { ComponentChildren } from 'preact';
import { go } from '../lib/router.ts';

interface Props {
  href: string;
  class?: string;
  children?: ComponentChildren;
  current?: boolean;
  label?: string;
  title?: string;
}

/** A link inside the page. Modified clicks stay the browser's. */
export function Link({ href, children, current, label, ...rest }: Props) {
  const onClick = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || e.button !== 0) return;
    e.preventDefault();
    go(href);
  };
  return (
    <a href={href} onClick={onClick} aria-current={current ? 'page' : undefined} aria-label={label} {...rest}>
      {children}
    </a>
  );
}
