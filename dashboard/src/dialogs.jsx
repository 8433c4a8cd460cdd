import { useEffect, useRef, useState } from 'preact/hooks';
import { post } from './stream.js';

/**
 * Asks before an action is carried out. `request` is `{ title, text, confirm, danger?, fields?, body }`: `body(values)` is
 * what is posted, of the values of the fields.
 */
export function ActionDialog({ request, onDone, onClose }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget));
    setBusy(true);
    setError(null);
    try {
      onDone(await post('action', request.body(values)));
    } catch (failure) {
      setError(failure.message);
      setBusy(false);
    }
  };
  return (
    <Dialog label={request.title} onClose={onClose}>
      <form onSubmit={submit}>
        <h2>{request.title}</h2>
        <p>{request.text}</p>
        {request.fields?.map((field) => (
          <Field key={field.name} {...field} />
        ))}
        {error !== null && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={request.danger ? 'danger' : 'primary'} disabled={isBusy}>
            {request.confirm}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Field({ name, label, options, value, ...rest }) {
  const id = `field-${name}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {options === undefined ? (
        <input id={id} name={name} value={value} {...rest} />
      ) : (
        <select id={id} name={name}>
          {options.map(([option, text]) => (
            <option key={option} value={option} selected={option === value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

/** A modal dialog; Escape closes it, and the focus returns to where it was. */
export function Dialog({ label, onClose, wide, children }) {
  const element = useRef(null);
  useEffect(() => {
    const { current: dialog } = element;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      // An element that has left the page cannot return the focus itself.
      before?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return (
    <dialog ref={element} class={wide ? 'wide' : ''} aria-label={label} onCancel={cancel}>
      {children}
    </dialog>
  );
}
