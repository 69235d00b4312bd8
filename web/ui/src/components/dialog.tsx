/** The browser's own modal dialog, with our head and foot. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  title: string;
  note?: ComponentChildren;
  submit: string;
  /** Does it; the dialog closes when the answer is true. */
  onSubmit: () => Promise<boolean>;
  onClose: () => void;
  children: ComponentChildren;
  testId?: string;
}

export function Dialog({ title, note, submit, onSubmit, onClose, children, testId }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const isDone = await onSubmit();
    setBusy(false);
    if (isDone) onClose();
  };
  return (
    <dialog ref={dialog} class="dialog" aria-label={title} data-testid={testId} onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <form onSubmit={(event) => void send(event)}>
        <div class="dialog-head">
          <div>
            <h2>{title}</h2>
            {note && <div class="muted">{note}</div>}
          </div>
          <button type="button" class="button" data-kind="quiet" data-size="icon" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </div>
        {children}
        <div class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button" data-kind="primary" disabled={isBusy}>
            {submit}
          </button>
        </div>
      </form>
    </dialog>
  );
}
