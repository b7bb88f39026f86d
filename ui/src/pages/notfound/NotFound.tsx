import { t } from '../../i18n/index.ts';
import { go } from '../../lib/router.ts';
import { Button } from '../../ui/Button.tsx';
import { Empty } from '../../ui/Notice.tsx';

export function NotFound({ children }: { children?: string }) {
  const m = t.value;
  return (
    <>
      <h1 class="visually-hidden">{m.notFound}</h1>
      <Empty icon="circle-help" action={<Button onClick={() => go('/')}>{m.toOverview}</Button>}>
        {children ?? m.notFoundText}
      </Empty>
    </>
  );
}
