import { useState } from 'preact/hooks';

/** Rows of a table until all are asked for. */
const SHORT = 8;

/**
 * A table with a heading, or what would be in it where there is nothing. A column is `{ head, cell(row), number? }`; on a
 * phone each row becomes a card whose lines are its cells.
 */
export function Table({ id, title, note, rows: all, columns, keyOf, empty, action }) {
  const [isLong, setLong] = useState(false);
  const rows = isLong ? all : all.slice(0, SHORT);
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="note">{note}</span>}
        {action}
      </div>
      {rows.length === 0 ? (
        <p class="empty">{empty}</p>
      ) : (
        <div class="scroll">
          <table aria-labelledby={id}>
            <thead>
              <tr>
                {columns.map(({ head, number }) => (
                  <th key={head} scope="col" class={number ? 'number' : ''}>
                    {head === 'Actions' ? <span class="hidden">{head}</span> : head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={keyOf(row)}>
                  {columns.map(({ head, cell, number }) => (
                    <td key={head} data-head={head} class={number ? 'number' : ''}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {all.length > SHORT && (
        <button type="button" class="small more" aria-expanded={isLong} onClick={() => setLong(!isLong)}>
          {isLong ? 'Show fewer' : `Show all ${all.length}`}
        </button>
      )}
    </section>
  );
}

/** A share of a whole as a bar with its text. */
export function Share({ part, whole, text }) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  const level = share > 0.9 ? 'high' : share > 0.7 ? 'middle' : 'low';
  return (
    <span class="share">
      <svg class={level} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="whole" width="100" height="6" />
        <rect class="part" width={100 * share} height="6" />
      </svg>
      <span>{text}</span>
    </span>
  );
}

export function Badge({ kind, children }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}
